import { randomUUID } from 'node:crypto';

import type { ReplicasRepository } from '../../common/db/repositories/replicas.ts';
import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { SignalingConfig } from '../config.ts';

export interface MembershipDeps {
  config: Pick<SignalingConfig, 'replicas'>;
  logger: Logger;
  replicas: ReplicasRepository;
  /** This replica's internal URL. */
  url: string;
  /** The others took this replica for dead: its peers' rows are gone. */
  onExpelled: () => void;
}

/**
 * This replica's row in the tables. It is written at start and kept alive; when it is gone the replica starts over under
 * a new id. While Postgres is away nothing happens, however long that takes.
 */
export function createMembership({ config, logger, replicas, url, onExpelled }: MembershipDeps) {
  let id: string = randomUUID();
  let registered = false;
  let healthySince: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let beating: Promise<void> = Promise.resolve();
  let stopped = false;

  async function register(): Promise<void> {
    await replicas.register({ id, url });
    registered = true;
    healthySince ??= Date.now();
    logger.info({ replicaId: id, url }, 'replica registered');
  }

  async function beat(): Promise<void> {
    try {
      if (!registered) await register();
      else if (await replicas.heartbeat(id)) healthySince ??= Date.now();
      else {
        logger.error({ replicaId: id }, 'the others took this replica for dead; it starts over');
        registered = false;
        healthySince = undefined;
        id = randomUUID();
        onExpelled();
        await register();
      }
    } catch (error) {
      healthySince = undefined;
      logger.warn({ reason: messageOf(error) }, 'no heartbeat');
    }
  }

  const schedule = (): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(run, config.replicas.heartbeatMs);
  };
  const run = (): void => {
    beating = beat().then(schedule);
  };

  return {
    get id(): string {
      return id;
    },
    /** For how long, in milliseconds, Postgres has taken every heartbeat; 0 while it does not. */
    healthyForMs: (): number => (healthySince === undefined ? 0 : Date.now() - healthySince),
    isHealthy: (): boolean => healthySince !== undefined,
    start: async (): Promise<void> => {
      await beat();
      schedule();
    },
    /** Looks at once whether the row is still there. */
    checkNow: (): void => {
      if (stopped) return;
      clearTimeout(timer);
      beating = beating.then(beat).then(schedule);
    },
    /** Leaves the tables; peers whose rows are this replica's still are left to the next one. */
    stop: async (): Promise<void> => {
      stopped = true;
      clearTimeout(timer);
      await beating;
      if (!registered) return;
      try {
        if (!(await replicas.retire(id))) logger.info('the peers wait for another replica');
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'row not removed');
      }
    },
  };
}

export type ReplicaMembership = ReturnType<typeof createMembership>;
