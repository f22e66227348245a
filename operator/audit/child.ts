/** The process of one look of the operator that acts, see `examine-apart.ts`. */
import { createKnex } from '../../common/db/knex.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import type { ChildInput } from './examine-apart.ts';
import { examine, type Examined } from './examine.ts';
import { objectsOfNodes } from './nodes.ts';
import { readTables } from './tables.ts';

async function look({ config, database, resources }: ChildInput): Promise<Examined> {
  const knex = createKnex(database);
  const sources = {
    resources: () => Promise.resolve(resources),
    tables: () => readTables(knex),
    objects: objectsOfNodes(config, createServiceMetrics()),
    concurrency: config.nodes.concurrency,
  };
  try {
    return await examine(sources, config);
  } finally {
    await knex.destroy();
  }
}

// Nobody is there to be told any more.
process.once('disconnect', () => process.exit());
process.once('message', (input: ChildInput) => {
  // What it throws ends the process, which its parent sees.
  void look(input).then((examined) => process.send?.(examined, () => process.disconnect()));
});
