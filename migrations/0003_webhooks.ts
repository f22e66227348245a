import type { Knex } from 'knex';

/**
 * The outbox of webhooks: what happens to rooms and peers is written down by triggers, in the transaction in which it
 * happens, and delivered by the signaling service.
 *
 * Row triggers note an event in `webhook_staged`. A deferred trigger there takes the notes of a transaction over to
 * `webhook_event` when it commits: only then is a lock on each of its rooms taken, all in one order, as the last locks of
 * the transaction. So no two transactions wait for each other in a circle, the numbers of a room's events are in the order
 * of its commits, and whether a peer is the first or the last of its room is decided by one transaction at a time.
 */
export async function up(knex: Knex): Promise<void> {
  await createTables(knex);
  for (const sql of [...functions, ...triggers]) await knex.raw(sql);
}

async function createTables(knex: Knex): Promise<void> {
  await knex.schema.createTable('webhook_endpoint', (table) => {
    table.comment('Endpoints of running signaling replicas; without one no event is written');
    table.text('name').primary();
    table.specificType('events', 'text[]').comment('types that it wants; null: all');
    table.timestamp('last_seen_at').notNullable().defaultTo(knex.fn.now());
  });

  await knex.schema.createTable('webhook_staged', (table) => {
    table.comment('Events of transactions that have not committed; always empty for others');
    table.bigIncrements('id');
    table.specificType('xid', 'xid8').notNullable().defaultTo(knex.raw('pg_current_xact_id()'));
    table.index('xid');
    table.text('room_id').comment('null: that of the peer_left of the same connection');
    table.uuid('media_peer_id').notNullable();
    table.text('peer_id');
    table.text('type').comment('null: no event, but the room may have ended');
    table.jsonb('data').notNullable().defaultTo('{}');
  });

  await knex.schema.createTable('webhook_room', (table) => {
    table.comment('Rooms that have started and not ended; its rows put their events in an order');
    table.text('room_id').primary();
    table.timestamp('started_at').comment('null within the transaction that starts it');
  });

  await knex.schema.createTable('webhook_event', (table) => {
    table.comment('Events, numbered in the order of each room');
    table.bigIncrements('sequence');
    table.uuid('id').notNullable().defaultTo(knex.raw('gen_random_uuid()'));
    table.text('room_id').notNullable();
    table.text('type').notNullable();
    table.jsonb('data').notNullable();
    table.timestamp('created_at').notNullable().defaultTo(knex.raw('clock_timestamp()')).index();
    table.index(['room_id', 'sequence']);
  });

  await knex.schema.createTable('webhook_queue', (table) => {
    table.comment('Rooms with events that an endpoint has not got yet');
    table.text('endpoint').notNullable();
    table.text('room_id').notNullable();
    table.primary(['endpoint', 'room_id']);
    table.bigInteger('sequence').notNullable().comment('the last event that it has got');
    table.timestamp('pending_since').notNullable().comment('time of the event that is next');
    table.integer('attempts').notNullable().defaultTo(0).comment('failed ones, of that event');
    table.timestamp('due_at').notNullable().comment('not before; while claimed, when that lapses');
    table.uuid('claim').comment('of the replica that delivers');
    table.text('last_error');
    table.index(['endpoint', 'due_at']);
  });

  await knex.schema.createTable('webhook_dead_letter', (table) => {
    table.comment('Events that an endpoint did not take within the limits');
    table.text('endpoint').notNullable();
    table.uuid('id').notNullable();
    table.primary(['endpoint', 'id']);
    table.bigInteger('sequence').notNullable();
    table.text('room_id').notNullable();
    table.text('type').notNullable();
    table.jsonb('data').notNullable();
    table.timestamp('created_at').notNullable();
    table.timestamp('died_at').notNullable().defaultTo(knex.fn.now()).index();
    table.integer('attempts').notNullable();
    table.text('last_error').notNullable();
  });
}

const wanted = 'EXISTS (SELECT FROM webhook_endpoint)';

const functions = [
  `CREATE FUNCTION webhook_router(router text) RETURNS jsonb LANGUAGE sql STABLE AS $$
     SELECT jsonb_build_object('routerId', r.id, 'pod', w.pod_name)
       FROM media_router r JOIN media_worker w ON w.instance_id = r.instance_id WHERE r.id = router
   $$`,

  `CREATE FUNCTION webhook_stage_peer() RETURNS trigger LANGUAGE plpgsql AS $$
   DECLARE
     peer media_peer;
     event_type text;
     event_data jsonb;
   BEGIN
     IF NOT ${wanted} THEN RETURN NULL; END IF;
     IF TG_OP = 'DELETE' THEN
       peer := OLD;
       IF peer.joined_at IS NOT NULL THEN
         event_type := 'peer_left';
       ELSIF NOT EXISTS (SELECT FROM webhook_room r WHERE r.room_id = peer.room_id) THEN
         RETURN NULL;
       END IF;
       event_data := jsonb_build_object('joinedAt', peer.joined_at);
     ELSE
       peer := NEW;
       event_type := 'peer_joined';
       event_data := jsonb_build_object('kind', peer.kind, 'device', peer.device);
     END IF;
     INSERT INTO webhook_staged (room_id, media_peer_id, peer_id, type, data)
     VALUES (peer.room_id, peer.id, peer.peer_id, event_type,
             jsonb_build_object('displayName', peer.display_name) || event_data);
     RETURN NULL;
   END $$`,

  `CREATE FUNCTION webhook_stage_move() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     IF NOT ${wanted} THEN RETURN NULL; END IF;
     INSERT INTO webhook_staged (room_id, media_peer_id, peer_id, type, data)
     SELECT NEW.room_id, NEW.id, NEW.peer_id, 'node_moved', jsonb_build_object(
              'direction', direction, 'from', webhook_router(old_router), 'to', webhook_router(new_router))
       FROM (VALUES ('producer', OLD.producer_router_id, NEW.producer_router_id),
                    ('consumer', OLD.consumer_router_id, NEW.consumer_router_id))
            AS side (direction, old_router, new_router)
      WHERE new_router IS NOT NULL AND old_router IS DISTINCT FROM new_router;
     RETURN NULL;
   END $$`,

  // A producer that goes with its peer finds no row of it: the peer's own note tells who it was.
  `CREATE FUNCTION webhook_stage_producer() RETURNS trigger LANGUAGE plpgsql AS $$
   DECLARE
     producer jsonb;
     peer media_peer;
     event_type text := CASE TG_TABLE_NAME WHEN 'media_producer' THEN 'producer' ELSE 'data_producer' END;
     event_data jsonb;
   BEGIN
     IF NOT ${wanted} THEN RETURN NULL; END IF;
     producer := to_jsonb(CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END);
     SELECT * INTO peer FROM media_peer
      WHERE id = (producer ->> 'media_peer_id')::uuid AND joined_at IS NOT NULL;
     IF TG_OP = 'INSERT' THEN
       event_type := event_type || '_added';
       event_data := jsonb_build_object('replaces', producer -> 'replaces');
     ELSE
       event_type := event_type || '_removed';
       event_data := '{}';
     END IF;
     event_data := event_data || jsonb_build_object('appData', producer -> 'app_data') || CASE TG_TABLE_NAME
       WHEN 'media_producer' THEN jsonb_build_object('producerId', producer -> 'id', 'kind', producer -> 'kind')
       ELSE jsonb_build_object('dataProducerId', producer -> 'id', 'label', producer -> 'label',
                               'protocol', producer -> 'protocol') END;
     INSERT INTO webhook_staged (room_id, media_peer_id, peer_id, type, data)
     VALUES (peer.room_id, (producer ->> 'media_peer_id')::uuid, peer.peer_id, event_type, event_data);
     RETURN NULL;
   END $$`,

  `CREATE FUNCTION webhook_write(room text, event_type text, event_data jsonb) RETURNS void LANGUAGE plpgsql AS $$
   BEGIN
     WITH written AS (
       INSERT INTO webhook_event (room_id, type, data)
       SELECT room, event_type, event_data
        WHERE EXISTS (SELECT FROM webhook_endpoint WHERE events IS NULL OR event_type = ANY (events))
       RETURNING sequence, created_at
     )
     INSERT INTO webhook_queue AS q (endpoint, room_id, sequence, pending_since, due_at)
     SELECT e.name, room, w.sequence - 1, w.created_at, w.created_at
       FROM written w, webhook_endpoint e
      WHERE e.events IS NULL OR event_type = ANY (e.events)
      ORDER BY e.name
     -- It locks the row, so that a replica that takes it for done looks again.
     ON CONFLICT (endpoint, room_id) DO UPDATE SET sequence = q.sequence;
   END $$`,

  // What came in the place of a peer or producer that is gone: known only when the transaction is complete.
  `CREATE FUNCTION webhook_complete(staged webhook_staged) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
   DECLARE
     gone uuid := coalesce(staged.data ->> 'producerId', staged.data ->> 'dataProducerId');
     successor uuid;
     peer jsonb := jsonb_build_object('peerId', staged.peer_id, 'connectionId', staged.media_peer_id);
   BEGIN
     IF staged.type = 'peer_left' THEN
       SELECT id INTO successor FROM media_peer WHERE room_id = staged.room_id AND peer_id = staged.peer_id;
     ELSIF staged.type = 'producer_removed' THEN
       SELECT id INTO successor FROM media_producer
        WHERE media_peer_id = staged.media_peer_id AND replaces = gone LIMIT 1;
     ELSIF staged.type = 'data_producer_removed' THEN
       SELECT id INTO successor FROM media_data_producer
        WHERE media_peer_id = staged.media_peer_id AND replaces = gone LIMIT 1;
     ELSE
       RETURN peer || staged.data;
     END IF;
     RETURN peer || staged.data || jsonb_build_object('replacedBy', successor);
   END $$`,

  `CREATE FUNCTION webhook_flush_room(room webhook_room) RETURNS void LANGUAGE plpgsql AS $$
   DECLARE
     own xid8 := pg_current_xact_id();
     is_joined boolean := EXISTS (
       SELECT FROM media_peer p WHERE p.room_id = room.room_id AND p.joined_at IS NOT NULL);
     -- A peer whose connection was replaced by one that has not joined yet does not end the room.
     is_returning boolean := room.started_at IS NOT NULL AND EXISTS (
       SELECT FROM webhook_staged s JOIN media_peer p ON p.room_id = s.room_id AND p.peer_id = s.peer_id
        WHERE s.xid = own AND s.room_id = room.room_id AND s.type = 'peer_left');
   BEGIN
     IF is_joined AND room.started_at IS NULL THEN
       UPDATE webhook_room r SET started_at = clock_timestamp() WHERE r.room_id = room.room_id;
       PERFORM webhook_write(room.room_id, 'room_started', '{}');
     END IF;
     -- What goes with a peer is noted after it, and told before.
     PERFORM webhook_write(s.room_id, s.type, webhook_complete(s))
        FROM (SELECT * FROM webhook_staged
               WHERE xid = own AND room_id = room.room_id AND type IS NOT NULL
               ORDER BY type = 'peer_left', id) s;
     IF is_joined OR is_returning THEN RETURN; END IF;
     IF room.started_at IS NOT NULL THEN
       PERFORM webhook_write(room.room_id, 'room_ended', jsonb_build_object('startedAt', room.started_at));
     END IF;
     DELETE FROM webhook_room r WHERE r.room_id = room.room_id;
   END $$`,

  // It runs for each note; the first takes all.
  `CREATE FUNCTION webhook_flush() RETURNS trigger LANGUAGE plpgsql AS $$
   DECLARE
     own xid8 := pg_current_xact_id();
   BEGIN
     IF NOT EXISTS (SELECT FROM webhook_staged WHERE id = NEW.id) THEN RETURN NULL; END IF;
     UPDATE webhook_staged s SET room_id = p.room_id, peer_id = p.peer_id
       FROM webhook_staged p
      WHERE s.xid = own AND s.room_id IS NULL
        AND p.xid = own AND p.media_peer_id = s.media_peer_id AND p.type = 'peer_left';
     INSERT INTO webhook_room AS r (room_id)
     SELECT DISTINCT room_id FROM webhook_staged WHERE xid = own AND room_id IS NOT NULL ORDER BY room_id
     ON CONFLICT (room_id) DO UPDATE SET started_at = r.started_at;
     PERFORM webhook_flush_room(r)
        FROM webhook_room r
       WHERE r.room_id IN (SELECT room_id FROM webhook_staged WHERE xid = own);
     DELETE FROM webhook_staged WHERE xid = own;
     RETURN NULL;
   END $$`,
];

const triggers = [
  `CREATE TRIGGER webhook_peer_joined AFTER UPDATE OF joined_at ON media_peer FOR EACH ROW
     WHEN (OLD.joined_at IS NULL AND NEW.joined_at IS NOT NULL) EXECUTE FUNCTION webhook_stage_peer()`,
  `CREATE TRIGGER webhook_peer_left AFTER DELETE ON media_peer FOR EACH ROW
     EXECUTE FUNCTION webhook_stage_peer()`,
  `CREATE TRIGGER webhook_node_moved AFTER UPDATE OF producer_router_id, consumer_router_id ON media_peer FOR EACH ROW
     WHEN (NEW.joined_at IS NOT NULL AND (OLD.producer_router_id IS DISTINCT FROM NEW.producer_router_id
       OR OLD.consumer_router_id IS DISTINCT FROM NEW.consumer_router_id)) EXECUTE FUNCTION webhook_stage_move()`,
  ...['media_producer', 'media_data_producer'].map(
    (table) => `CREATE TRIGGER webhook_producer AFTER INSERT OR DELETE ON ${table} FOR EACH ROW
     EXECUTE FUNCTION webhook_stage_producer()`,
  ),
  `CREATE CONSTRAINT TRIGGER webhook_flush AFTER INSERT ON webhook_staged DEFERRABLE INITIALLY DEFERRED
     FOR EACH ROW EXECUTE FUNCTION webhook_flush()`,
];

export async function down(knex: Knex): Promise<void> {
  for (const trigger of ['webhook_peer_joined', 'webhook_peer_left', 'webhook_node_moved'])
    await knex.raw(`DROP TRIGGER IF EXISTS ${trigger} ON media_peer`);
  for (const table of ['media_producer', 'media_data_producer'])
    await knex.raw(`DROP TRIGGER IF EXISTS webhook_producer ON ${table}`);
  await knex.schema.dropTableIfExists('webhook_dead_letter');
  await knex.schema.dropTableIfExists('webhook_queue');
  await knex.schema.dropTableIfExists('webhook_event');
  // The functions that take rows of these tables go with them.
  for (const table of ['webhook_room', 'webhook_staged', 'webhook_endpoint'])
    await knex.raw(`DROP TABLE IF EXISTS ${table} CASCADE`);
  for (const name of [
    'webhook_flush',
    'webhook_write',
    'webhook_stage_producer',
    'webhook_stage_move',
    'webhook_stage_peer',
    'webhook_router',
  ])
    await knex.raw(`DROP FUNCTION IF EXISTS ${name}`);
}
