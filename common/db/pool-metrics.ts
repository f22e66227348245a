import type { Knex } from 'knex';
import { Gauge, type Registry } from 'prom-client';

interface PoolNumbers {
  numUsed: () => number;
  numFree: () => number;
  numPendingAcquires: () => number;
}

/** Shows the use of the database connections, read at each scrape. */
export function observePool(registry: Registry, knex: Knex): void {
  const { pool } = knex.client as { pool: PoolNumbers };
  new Gauge({
    name: 'kube_sfu_db_pool_connections',
    help: 'Database connections of this process, by state: used, free, or pending for queries that wait for one.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      this.set({ state: 'used' }, pool.numUsed());
      this.set({ state: 'free' }, pool.numFree());
      this.set({ state: 'pending' }, pool.numPendingAcquires());
    },
  });
}
