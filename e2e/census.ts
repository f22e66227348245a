import type { Knex } from 'knex';

import type { NodeStatus } from '../common/wire/media-node.ts';

/** How much of everything there is, counted the same way on the nodes and in the tables. */
export interface Census {
  producers: number;
  consumers: number;
  dataProducers: number;
  dataConsumers: number;
  transports: number;
  pipeEnds: number;
}

export const emptyCensus: Census = {
  producers: 0,
  consumers: 0,
  dataProducers: 0,
  dataConsumers: 0,
  transports: 0,
  pipeEnds: 0,
};

const sum = (numbers: number[]): number => numbers.reduce((total, n) => total + n, 0);

export function censusOfNodes(statuses: NodeStatus[]): Census {
  const routers = statuses.flatMap((status) => status.routers);
  const total = (
    key: 'producers' | 'consumers' | 'dataProducers' | 'dataConsumers' | 'transports',
  ) => sum(routers.map((router) => router[key]));
  return {
    producers: total('producers'),
    consumers: total('consumers'),
    dataProducers: total('dataProducers'),
    dataConsumers: total('dataConsumers'),
    transports: total('transports'),
    pipeEnds: sum(statuses.map((status) => status.pipes.length)),
  };
}

const count = async (knex: Knex, table: string): Promise<number> => {
  const [row] = await knex(table).count<{ n: string }[]>('* as n');
  return Number(row?.n);
};

export async function censusOfTables(knex: Knex): Promise<Census> {
  return {
    producers: await count(knex, 'media_producer'),
    consumers: await count(knex, 'media_consumer'),
    dataProducers: await count(knex, 'media_data_producer'),
    dataConsumers: await count(knex, 'media_data_consumer'),
    transports: await count(knex, 'media_transport'),
    pipeEnds: await count(knex, 'media_pipe_transport'),
  };
}

/** The relation tables' rows as "producer peer → consumer peer", each pair once, in order. */
export async function relations(
  knex: Knex,
  table: 'media_peer_consumer' | 'media_peer_data_consumer',
) {
  const rows = await knex(`${table} as relation`)
    .join('media_peer as producer', 'producer.id', 'relation.producer_peer_id')
    .join('media_peer as consumer', 'consumer.id', 'relation.consumer_peer_id')
    .distinct<{ from: string; to: string }[]>('producer.peer_id as from', 'consumer.peer_id as to');
  return rows.map(({ from, to }) => `${from} → ${to}`).sort();
}

/** Every ordered pair of different names. */
export const everyPair = (names: string[]): string[] =>
  names.flatMap((from) => names.filter((to) => to !== from).map((to) => `${from} → ${to}`)).sort();
