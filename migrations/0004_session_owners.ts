import type { Knex } from 'knex';

/**
 * A session outlives the socket and the replica that hold it: the row is handed from one owner to the next, and who acts
 * for an earlier one changes nothing. A replica's end therefore never deletes a peer: its row stays until nobody refers
 * to it.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.schema.alterTable('media_peer', (table) => {
    table
      .integer('owner_epoch')
      .notNullable()
      .defaultTo(0)
      .comment('grows whenever another socket or replica takes the row over');
    table.dropForeign('replica_id');
    table.foreign('replica_id').references('id').inTable('signaling_replica').onDelete('NO ACTION');
  });
  await knex.raw(
    'CREATE INDEX media_peer_detached_at_index ON media_peer (detached_at) WHERE detached_at IS NOT NULL',
  );
  await knex.raw(
    'CREATE UNIQUE INDEX media_peer_resume_hash_index ON media_peer (resume_hash) WHERE resume_hash IS NOT NULL',
  );
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP INDEX media_peer_resume_hash_index');
  await knex.raw('DROP INDEX media_peer_detached_at_index');
  await knex.schema.alterTable('media_peer', (table) => {
    table.dropForeign('replica_id');
    table.foreign('replica_id').references('id').inTable('signaling_replica').onDelete('CASCADE');
    table.dropColumn('owner_epoch');
  });
}
