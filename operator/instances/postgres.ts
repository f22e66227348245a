import type { Knex } from 'knex';

import { query } from '../../common/db/knex.ts';
import { MediaWorkerModel } from '../../common/db/models.ts';
import type { InstanceRegistry } from './sweeper.ts';

/** The session tables: an instance's row goes, and all that hangs off it goes by cascade. */
export const createPostgresRegistry = (knex: Knex): InstanceRegistry => ({
  listInstances: () => query(() => MediaWorkerModel.query(knex).select('instance_id', 'pod_name')),
  async removeInstances(ids) {
    await query(() => MediaWorkerModel.query(knex).delete().whereIn('instance_id', ids));
  },
});
