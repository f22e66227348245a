import { messageOf } from '../common/errors.ts';
import { censusOfNodes, censusOfTables } from '../e2e/census.ts';
import { until } from '../testing/until.ts';
import type { Platform } from './platform.ts';

/** How long nodes and tables may take to agree, in milliseconds. */
const settle = { timeoutMs: 60_000, intervalMs: 500 };

/** Where nodes and tables differ, as sentences. */
export async function auditProblems(platform: Platform): Promise<string[]> {
  try {
    await until(
      'nodes and tables to agree',
      async () => {
        const nodes = censusOfNodes((await platform.mediaNodes()).map(({ status }) => status));
        const tables = await censusOfTables(platform.knex);
        if (JSON.stringify(nodes) === JSON.stringify(tables)) return true;
        throw new Error(`nodes ${JSON.stringify(nodes)}, tables ${JSON.stringify(tables)}`);
      },
      settle,
    );
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}
