import type { Knex } from 'knex';

/**
 * The session tables. A media node's run (`media_worker.instance_id`) and a peer's connection (`media_peer.id`) are the
 * two roots: whatever belongs to one goes with it by cascade, so that a dead node's or a gone peer's rows are one delete.
 */
export async function up(knex: Knex): Promise<void> {
  const cascade = (table: Knex.CreateTableBuilder, column: string, parent: string, key = 'id') =>
    table.foreign(column).references(key).inTable(parent).onDelete('CASCADE');

  await knex.schema.createTable('signaling_replica', (table) => {
    table.comment('Running replicas of the signaling service');
    table.uuid('id').primary();
    table.text('url').notNullable().comment('base URL of the replica’s internal API');
    table.timestamp('last_seen_at').notNullable().defaultTo(knex.fn.now());
  });

  await knex.schema.createTable('media_worker', (table) => {
    table.comment('Running media nodes; one row for each run of the process');
    table.uuid('instance_id').primary();
    table.text('pod_name').notNullable().index();
    table.text('pool').notNullable();
    table.text('role').notNullable().checkIn(['Producer', 'Consumer', 'Both']);
    table.text('api_url').notNullable();
    table.integer('worker_count').notNullable();
    table.text('version').notNullable();
    table.timestamp('started_at').notNullable().defaultTo(knex.fn.now());
  });

  await knex.schema.createTable('media_room', (table) => {
    table.text('id').primary().comment('name of the MediaRoom');
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
  });

  await knex.schema.createTable('media_router', (table) => {
    table.text('id').primary();
    table.text('room_id').notNullable().index();
    table.uuid('instance_id').notNullable().index();
    table.integer('worker_index').notNullable();
    table.text('role').notNullable().checkIn(['Producer', 'Consumer', 'Both']);
    table.integer('generation').notNullable();
    table.jsonb('rtp_capabilities').notNullable();
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
    cascade(table, 'room_id', 'media_room');
    cascade(table, 'instance_id', 'media_worker', 'instance_id');
  });

  await knex.schema.createTable('media_peer', (table) => {
    table.comment('One row for each connection of a peer');
    table.uuid('id').primary();
    table.text('room_id').notNullable();
    table.text('peer_id').notNullable().comment('the name that the client chose');
    table.text('kind').notNullable().checkIn(['WebSocket', 'Broadcaster']);
    table.uuid('replica_id').notNullable().index();
    table.text('producer_router_id').notNullable().index();
    table.text('consumer_router_id').notNullable().index();
    table.text('display_name').notNullable().defaultTo('');
    table.jsonb('device').notNullable().defaultTo('{}');
    table.text('remote_address').notNullable();
    table.jsonb('grants').notNullable();
    table.jsonb('rtp_capabilities').comment('null: the peer does not receive media');
    table.timestamp('joined_at').comment('null until the peer has joined');
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
    table.unique(['room_id', 'peer_id']);
    cascade(table, 'room_id', 'media_room');
    cascade(table, 'replica_id', 'signaling_replica');
    cascade(table, 'producer_router_id', 'media_router');
    cascade(table, 'consumer_router_id', 'media_router');
  });

  await knex.schema.createTable('media_transport', (table) => {
    table.uuid('id').primary();
    table.uuid('media_peer_id').notNullable().index();
    table.text('router_id').notNullable().index();
    table.uuid('instance_id').notNullable().index();
    table.text('kind').notNullable().checkIn(['webrtc', 'plain']);
    table.text('direction').notNullable().checkIn(['producer', 'consumer']);
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
    cascade(table, 'media_peer_id', 'media_peer');
    cascade(table, 'router_id', 'media_router');
    cascade(table, 'instance_id', 'media_worker', 'instance_id');
  });

  await knex.schema.createTable('media_pipe_transport', (table) => {
    table.uuid('id').primary();
    table.text('router_id').notNullable();
    table.uuid('instance_id').notNullable().index();
    table.text('remote_router_id').notNullable().index();
    table.text('pipe_end').notNullable().checkIn(['source', 'destination']);
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
    table.unique(['router_id', 'remote_router_id', 'pipe_end']);
    cascade(table, 'router_id', 'media_router');
    cascade(table, 'remote_router_id', 'media_router');
    cascade(table, 'instance_id', 'media_worker', 'instance_id');
  });

  await createProducers(knex, cascade);
  await createConsumers(knex, cascade);
}

type Cascade = (
  table: Knex.CreateTableBuilder,
  column: string,
  parent: string,
  key?: string,
) => unknown;

async function createProducers(knex: Knex, cascade: Cascade): Promise<void> {
  await knex.schema.createTable('media_producer', (table) => {
    table.uuid('id').primary();
    table.uuid('transport_id').notNullable().index();
    table.uuid('media_peer_id').notNullable().index();
    table.text('router_id').notNullable().index();
    table.text('kind').notNullable().checkIn(['audio', 'video']);
    table.jsonb('app_data').notNullable().defaultTo('{}');
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
    cascade(table, 'transport_id', 'media_transport');
    cascade(table, 'media_peer_id', 'media_peer');
    cascade(table, 'router_id', 'media_router');
  });
  await knex.schema.createTable('media_data_producer', (table) => {
    table.uuid('id').primary();
    table.uuid('transport_id').notNullable().index();
    table.uuid('media_peer_id').notNullable().index();
    table.text('router_id').notNullable().index();
    table.text('label').notNullable();
    table.text('protocol').notNullable();
    table.jsonb('app_data').notNullable().defaultTo('{}');
    table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
    cascade(table, 'transport_id', 'media_transport');
    cascade(table, 'media_peer_id', 'media_peer');
    cascade(table, 'router_id', 'media_router');
  });
}

async function createConsumers(knex: Knex, cascade: Cascade): Promise<void> {
  const families = [
    { consumer: 'media_consumer', producer: 'media_producer', relation: 'media_peer_consumer' },
    {
      consumer: 'media_data_consumer',
      producer: 'media_data_producer',
      relation: 'media_peer_data_consumer',
    },
  ];
  for (const { consumer, producer, relation } of families) {
    await knex.schema.createTable(consumer, (table) => {
      table.uuid('id').primary();
      table.uuid('producer_id').notNullable();
      table.uuid('transport_id').notNullable().index();
      table.uuid('media_peer_id').notNullable().index().comment('the peer that watches');
      table.timestamp('created_at').notNullable().defaultTo(knex.fn.now());
      table.unique(['producer_id', 'transport_id']);
      cascade(table, 'producer_id', producer);
      cascade(table, 'transport_id', 'media_transport');
      cascade(table, 'media_peer_id', 'media_peer');
    });
    await knex.schema.createTable(relation, (table) => {
      table.comment(
        'Producer peer → consumer peers, one to many; a row lives as long as its consumer',
      );
      table.uuid('consumer_id').primary();
      table.uuid('producer_peer_id').notNullable().index();
      table.uuid('consumer_peer_id').notNullable().index();
      cascade(table, 'consumer_id', consumer);
      cascade(table, 'producer_peer_id', 'media_peer');
      cascade(table, 'consumer_peer_id', 'media_peer');
    });
  }
}

export async function down(knex: Knex): Promise<void> {
  const tables = [
    'media_peer_data_consumer',
    'media_data_consumer',
    'media_peer_consumer',
    'media_consumer',
    'media_data_producer',
    'media_producer',
    'media_pipe_transport',
    'media_transport',
    'media_peer',
    'media_router',
    'media_room',
    'media_worker',
    'signaling_replica',
  ];
  for (const table of tables) await knex.schema.dropTableIfExists(table);
}
