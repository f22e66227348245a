import type { PeerRow } from '../../common/db/repositories/peers.ts';
import { messageOf } from '../../common/errors.ts';
import { mapLimit } from '../map-limit.ts';
import type { Services } from '../services.ts';

type ReaperDeps = Pick<
  Services,
  'config' | 'logger' | 'metrics' | 'peers' | 'replicas' | 'leaver' | 'membership'
>;

/** Rows of one look. */
const batch = 500;

/**
 * Takes over what replicas that died have left: sessions that may be resumed are detached, the others end. Ends the
 * sessions that nobody resumed in time, and broadcasters whose node is gone. A replica does this only after its own
 * heartbeats have got through for as long as it takes to be thought dead: after an outage of Postgres all look silent,
 * and after one of this service nobody could resume; they must get time.
 */
export function createReaper(deps: ReaperDeps) {
  const { config, logger, metrics, peers, replicas, leaver, membership } = deps;
  const { deadAfterMs, reapIntervalMs, reapConcurrency } = config.replicas;
  let timer: NodeJS.Timeout | undefined;
  let reaping: Promise<void> = Promise.resolve();
  let stopped = false;

  const reapReplica = (): Promise<boolean> =>
    replicas.reapOne(deadAfterMs, async (replica) => {
      const kept = await peers.handOver(replica.id, membership.id);
      const rows = await peers.listByReplica(replica.id);
      logger.warn({ replica, kept, left: rows.length }, 'a replica died; taking over its peers');
      await mapLimit(rows, reapConcurrency, leaver.leaveRow);
      metrics.reaped.inc();
    });

  async function reapRows(what: string, list: () => Promise<PeerRow[]>): Promise<void> {
    let rows;
    do {
      rows = await list();
      if (rows.length > 0) logger.info({ peers: rows.length }, `taking leave of ${what}`);
      await mapLimit(rows, reapConcurrency, leaver.leaveUnowned);
    } while (!stopped && rows.length === batch);
  }

  async function reapAll(): Promise<void> {
    metrics.detached.set(await peers.countDetached(membership.id));
    if (membership.healthyForMs() <= deadAfterMs) return;
    while (!stopped && (await reapReplica()));
    await reapRows('sessions that nobody resumed', () =>
      peers.listExpired(config.resume.graceMs, batch),
    );
    await reapRows('broadcasters whose node is gone', () => peers.listStranded(batch));
  }

  const schedule = (): void => {
    if (!stopped) timer = setTimeout(run, reapIntervalMs);
  };
  const run = (): void => {
    reaping = reapAll()
      .catch((error: unknown) => logger.warn({ reason: messageOf(error) }, 'reaping failed'))
      .then(schedule);
  };

  return {
    start: schedule,
    stop: async (): Promise<void> => {
      stopped = true;
      clearTimeout(timer);
      await reaping;
    },
  };
}
