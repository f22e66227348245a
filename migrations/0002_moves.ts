import type { Knex } from 'knex';

const sides = ['producer_router_id', 'consumer_router_id'] as const;
const producerTables = ['media_producer', 'media_data_producer'] as const;

/**
 * Peers that outlive what they are bound to: the end of a node leaves its peers' rows, and with them their other side,
 * unbound on the one that is gone.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.schema.alterTable('media_peer', (table) => {
    for (const side of sides) {
      table.setNullable(side);
      table.dropForeign([side]);
      table.foreign(side).references('id').inTable('media_router').onDelete('SET NULL');
    }
    table.text('resume_hash').comment('SHA-256 of the token that continues the session');
    table.timestamp('detached_at').comment('since when the peer has no socket');
    table
      .jsonb('extensions')
      .notNullable()
      .defaultTo('[]')
      .comment('additions to the protocol that the client knows');
  });
  for (const name of producerTables)
    await knex.schema.alterTable(name, (table) => {
      // Not a foreign key: the row that it names may be gone with its node before.
      table.uuid('replaces').comment('the producer that this one took the place of');
    });
}

export async function down(knex: Knex): Promise<void> {
  for (const name of producerTables)
    await knex.schema.alterTable(name, (table) => table.dropColumn('replaces'));
  // Before, a peer went with either of its routers.
  await knex('media_peer').whereNull(sides[0]).orWhereNull(sides[1]).delete();
  await knex.schema.alterTable('media_peer', (table) => {
    for (const column of ['resume_hash', 'detached_at', 'extensions']) table.dropColumn(column);
    for (const side of sides) {
      table.dropForeign([side]);
      table.dropNullable(side);
      table.foreign(side).references('id').inTable('media_router').onDelete('CASCADE');
    }
  });
}
