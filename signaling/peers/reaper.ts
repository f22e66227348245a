import { messageOf } from '../../common/errors.ts';
import { mapLimit } from '../map-limit.ts';
import type { Services } from '../services.ts';

type ReaperDeps = Pick<
  Services,
  'config' | 'logger' | 'metrics' | 'peers' | 'replicas' | 'leaver' | 'membership'
>;

/**
 * Takes leave of the peers of replicas that died. A replica reaps only after its own heartbeats have got through for as
 * long as it takes to be thought dead: after an outage of Postgres all look silent, and must get time to report.
 */
export function createReaper(deps: ReaperDeps) {
  const { config, logger, metrics, peers, replicas, leaver, membership } = deps;
  const { deadAfterMs, reapIntervalMs, reapConcurrency } = config.replicas;
  let timer: NodeJS.Timeout | undefined;
  let reaping: Promise<void> = Promise.resolve();
  let stopped = false;

  async function reapAll(): Promise<void> {
    if (membership.healthyForMs() <= deadAfterMs) return;
    const reapOne = (): Promise<boolean> =>
      replicas.reapOne(deadAfterMs, async (replica) => {
        const rows = await peers.listByReplica(replica.id);
        logger.warn({ replica, peers: rows.length }, 'a replica died; taking leave of its peers');
        await mapLimit(rows, reapConcurrency, leaver.leaveRow);
        metrics.reaped.inc();
      });
    while (!stopped && (await reapOne()));
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
