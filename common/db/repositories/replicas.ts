import type { Knex } from 'knex';
import { raw, transaction } from 'objection';

import { isForeignKeyViolation, query } from '../knex.ts';
import { SignalingReplicaModel } from '../models.ts';

export interface Replica {
  id: string;
  url: string;
}

/** A replica with the number of peers that it owns. */
export interface ReplicaLoad extends Replica {
  peers: number;
}

const silentFor = (ms: number) => raw(`now() - ? * interval '1 millisecond'`, [ms]);

/** The running replicas of the signaling service, `signaling_replica`. Time is the database's alone. */
export function createReplicasRepository(knex: Knex) {
  return {
    /** Repeatable, since the answer to an insert that was done may be lost. */
    register: async (replica: Replica): Promise<void> => {
      await query(() =>
        SignalingReplicaModel.query(knex)
          .insert({ ...replica, lastSeenAt: raw('now()') })
          .onConflict('id')
          .merge(),
      );
    },

    /** Tells that the replica lives. False when its row is gone: the others took it for dead. */
    heartbeat: (id: string): Promise<boolean> =>
      query(
        async () =>
          (await SignalingReplicaModel.query(knex)
            .findById(id)
            .patch({ lastSeenAt: raw('now()') })) > 0,
      ),

    /**
     * Removes the row; where peers refer to it still, they stay with it, and it counts as dead from now on, so that
     * another replica takes them.
     *
     * @returns whether it was removed
     */
    retire: (id: string): Promise<boolean> =>
      query(async () => {
        try {
          await SignalingReplicaModel.query(knex).deleteById(id);
          return true;
        } catch (error) {
          if (!isForeignKeyViolation(error)) throw error;
          await SignalingReplicaModel.query(knex)
            .findById(id)
            .patch({ lastSeenAt: new Date(0) });
          return false;
        }
      }),

    /**
     * Locks one replica that was silent for longer than `deadAfterMs`, runs `reap` for it, and removes its row. Replicas
     * that others reap at the moment are skipped.
     *
     * @returns whether there was one
     */
    reapOne: (deadAfterMs: number, reap: (replica: Replica) => Promise<void>): Promise<boolean> =>
      query(() =>
        transaction(knex, async (trx) => {
          const dead = await SignalingReplicaModel.query(trx)
            .where('last_seen_at', '<', silentFor(deadAfterMs))
            .orderBy('last_seen_at')
            .forUpdate()
            .skipLocked()
            .first();
          if (!dead) return false;
          await reap({ id: dead.id, url: dead.url });
          await SignalingReplicaModel.query(trx).deleteById(dead.id);
          return true;
        }),
      ),

    listWithLoad: (): Promise<ReplicaLoad[]> =>
      query(() =>
        SignalingReplicaModel.query(knex)
          .select(
            'id',
            'url',
            raw(
              '(SELECT count(*)::int FROM media_peer WHERE replica_id = signaling_replica.id)',
            ).as('peers'),
          )
          .orderBy('id')
          .castTo<ReplicaLoad[]>(),
      ),
  };
}

export type ReplicasRepository = ReturnType<typeof createReplicasRepository>;
