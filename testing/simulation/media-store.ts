import type { MediaRepository, Receiver } from '../../common/db/repositories/media.ts';
import { ApiError } from '../../common/errors.ts';
import type { NodeAddress, RouterAddress } from '../../common/wire/media-node.ts';
import type { Direction, Grants } from '../../common/wire/peer.ts';
import type { SimulatedProcess } from './process.ts';
import { time } from './time.ts';
import { toError } from './to-error.ts';

interface Timed {
  id: string;
  createdAt: number;
}
interface RouterRow extends Timed {
  roomId: string;
  instanceId: string;
}
export interface PeerRow extends Timed {
  roomId: string;
  peerId: string;
  producerRouterId: string | null;
  consumerRouterId: string | null;
  replicaUrl: string;
  grants: Grants;
  displayName: string;
  joinedAt: number | null;
  rtpCapabilities: object | null;
}
interface TransportRow extends Timed {
  mediaPeerId: string;
  routerId: string;
  instanceId: string;
  direction: Direction;
  kind: 'webrtc' | 'plain';
}
interface PipeRow extends Timed {
  routerId: string;
  instanceId: string;
  remoteRouterId: string;
  pipeEnd: string;
}
interface ProducerRow extends Timed {
  transportId: string;
  mediaPeerId: string;
  routerId: string;
  kind?: 'audio' | 'video';
  appData: Record<string, unknown>;
  replaces: string | null;
}
interface ConsumerRow extends Timed {
  producerId: string;
  transportId: string;
}

type Table = keyof SimulatedStore['tables'];

const grantsOf = (row: PeerRow | undefined): Grants =>
  row?.grants ?? { publish: false, subscribe: false, data: false, admin: false };

/** The session tables with their foreign keys, in memory: each statement takes a moment, and is one step. */
export class SimulatedStore {
  readonly workers = new Map<string, NodeAddress & { podName: string }>();
  readonly rooms = new Set<string>();
  readonly peers = new Map<string, PeerRow>();
  readonly tables = {
    media_router: new Map<string, RouterRow>(),
    media_transport: new Map<string, TransportRow>(),
    media_pipe_transport: new Map<string, PipeRow>(),
    media_producer: new Map<string, ProducerRow>(),
    media_data_producer: new Map<string, ProducerRow>(),
    media_consumer: new Map<string, ConsumerRow>(),
    media_data_consumer: new Map<string, ConsumerRow>(),
  };
  away = false;
  /** How many of the next statements are done, and their answers lost. */
  lostAnswers = 0;
  #last = 0;

  /** Runs one statement. @param isHeard its answer is not lost */
  query<T>(work: () => T, isHeard = false): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(new ApiError('store_unavailable', 'Postgres is away'));
      time.schedule(time.between(0, 4), () => {
        if (this.away) {
          fail();
          return;
        }
        try {
          const answer = structuredClone(work());
          const isLost = this.lostAnswers > 0 && !isHeard;
          if (isLost) this.lostAnswers--;
          time.schedule(time.between(0, 4), () => (isLost ? fail() : resolve(answer)));
        } catch (error) {
          time.schedule(time.between(0, 4), () => reject(toError(error)));
        }
      });
    });
  }

  /** Rises with each row, so that no two are of the same age. */
  stamp(): number {
    this.#last = Math.max(time.now(), this.#last + 1e-3);
    return this.#last;
  }

  deleteWorker(instanceId: string): void {
    this.workers.delete(instanceId);
    for (const { id } of this.#where('media_router', (row) => row.instanceId === instanceId))
      this.remove('media_router', id);
    for (const { id } of this.#where('media_transport', (row) => row.instanceId === instanceId))
      this.remove('media_transport', id);
    for (const { id } of this.#where(
      'media_pipe_transport',
      (row) => row.instanceId === instanceId,
    ))
      this.remove('media_pipe_transport', id);
  }

  deletePeer(id: string): void {
    this.peers.delete(id);
    for (const row of this.#where('media_transport', ({ mediaPeerId }) => mediaPeerId === id))
      this.remove('media_transport', row.id);
  }

  deleteRoomIfUnused(roomId: string): void {
    const isUsed =
      [...this.tables.media_router.values()].some((row) => row.roomId === roomId) ||
      [...this.peers.values()].some((row) => row.roomId === roomId);
    if (!isUsed) this.rooms.delete(roomId);
  }

  /** Deletes a row with all that hangs off it. */
  remove(table: Table, id: string): void {
    if (!this.tables[table].delete(id)) return;
    const { tables } = this;
    if (table === 'media_router') this.#unbind(id);
    if (table === 'media_transport' || table === 'media_router') {
      const isOn = ({ transportId, routerId }: ProducerRow): boolean =>
        table === 'media_router' ? routerId === id : transportId === id;
      for (const name of ['media_producer', 'media_data_producer'] as const)
        for (const row of [...tables[name].values()]) if (isOn(row)) this.remove(name, row.id);
    }
    for (const name of ['media_consumer', 'media_data_consumer'] as const)
      for (const row of [...tables[name].values()])
        if (row.transportId === id || row.producerId === id) tables[name].delete(row.id);
  }

  #unbind(routerId: string): void {
    for (const peer of this.peers.values()) {
      if (peer.producerRouterId === routerId) peer.producerRouterId = null;
      if (peer.consumerRouterId === routerId) peer.consumerRouterId = null;
    }
    for (const table of ['media_transport', 'media_pipe_transport'] as const)
      for (const row of [...this.tables[table].values()])
        if (row.routerId === routerId) this.remove(table, row.id);
  }

  #where<T extends Table>(table: T, fits: (row: RowOf<T>) => boolean): RowOf<T>[] {
    return [...(this.tables[table] as Map<string, RowOf<T>>).values()].filter(fits);
  }

  /** The media nodes' side of the tables, as one process reaches it. */
  repositoryFor(process: SimulatedProcess): MediaRepository {
    const ask = async <T>(name: string, work: () => T): Promise<T> => {
      // One that is stopped asks nothing.
      await new Promise<void>((resolve) => process.deliver(resolve));
      // A consumer that is recorded without the node's knowing is never told of: a known gap.
      return process.receive(this.query(work, name === 'insertConsumers'));
    };
    const parts = {
      ...workersOf(this),
      ...peersOf(this),
      ...objectsOf(this),
      ...sweepOf(this),
    } as Record<string, (...given: never[]) => unknown>;
    const repository = Object.fromEntries(
      Object.entries(parts).map(([name, run]) => [
        name,
        (...given: never[]) => ask(name, () => run(...given)),
      ]),
    );
    return repository as unknown as MediaRepository;
  }

  nodeOf(instanceId: string): NodeAddress {
    return { instanceId, url: this.workers.get(instanceId)?.url ?? '' };
  }

  addressOf(routerId: string | null): RouterAddress | undefined {
    const row = this.tables.media_router.get(routerId ?? '');
    return row && { routerId: row.id, node: this.nodeOf(row.instanceId) };
  }

  receiverOf(row: TransportRow): Receiver {
    const peer = this.peers.get(row.mediaPeerId);
    return {
      ...{ transportId: row.id, mediaPeerId: row.mediaPeerId, peerKind: 'WebSocket' },
      ...{ peerId: peer?.peerId ?? '', roomId: peer?.roomId ?? '', grants: grantsOf(peer) },
      rtpCapabilities: peer?.rtpCapabilities ?? null,
      replicaUrl: peer?.replicaUrl ?? '',
      router: { routerId: row.routerId, node: this.nodeOf(row.instanceId) },
    };
  }

  /** A peer's newest receiving transport. */
  receivingOf(mediaPeerId: string): TransportRow | undefined {
    return this.#where(
      'media_transport',
      (row) => row.mediaPeerId === mediaPeerId && row.direction === 'consumer',
    )
      .sort((a, b) => a.createdAt - b.createdAt)
      .at(-1);
  }

  joinedIn(roomId: string, except: string): PeerRow[] {
    return [...this.peers.values()]
      .filter((row) => row.roomId === roomId && row.joinedAt !== null && row.id !== except)
      .sort((a, b) => (a.joinedAt ?? 0) - (b.joinedAt ?? 0));
  }
}

type RowOf<T extends Table> = SimulatedStore['tables'][T] extends Map<string, infer R> ? R : never;

/** As Postgres refuses a row whose parent is gone. */
function require(found: unknown): void {
  if (!found) throw Object.assign(new Error('foreign key'), { code: '23503' });
}

const workersOf = (store: SimulatedStore) => ({
  registerWorker: ({ instanceId, url, podName }: NodeAddress & { podName: string }) => {
    for (const [other, row] of store.workers)
      if (row.podName === podName && other !== instanceId) store.deleteWorker(other);
    if (!store.workers.has(instanceId)) store.workers.set(instanceId, { instanceId, url, podName });
  },
  deleteWorker: (instanceId: string) => store.deleteWorker(instanceId),
  registeredOf: (ids: string[]) => new Set(ids.filter((id) => store.workers.has(id))),
  saveRouter: ({ id, roomId, instanceId }: RouterRow) => {
    require(store.workers.has(instanceId));
    store.rooms.add(roomId);
    const old = store.tables.media_router.get(id);
    const createdAt = old?.createdAt ?? store.stamp();
    store.tables.media_router.set(id, { id, roomId, instanceId, createdAt });
  },
  deleteRouters: (instanceId: string, ids: string[]) => {
    for (const id of ids) {
      const row = store.tables.media_router.get(id);
      if (row?.instanceId !== instanceId) continue;
      store.remove('media_router', id);
      store.deleteRoomIfUnused(row.roomId);
    }
  },
  peersOfRouters: (ids: string[]) =>
    [...store.peers.values()].flatMap(({ id, replicaUrl, producerRouterId, consumerRouterId }) =>
      (
        [
          ['producer', producerRouterId],
          ['consumer', consumerRouterId],
        ] as const
      ).flatMap(([direction, routerId]) =>
        routerId !== null && ids.includes(routerId)
          ? [{ mediaPeerId: id, replicaUrl, routerId, direction }]
          : [],
      ),
    ),
});

const roomPeerOf = ({ id, peerId, displayName, replicaUrl }: PeerRow) => ({
  ...{ mediaPeerId: id, peerId, displayName, replicaUrl },
  ...{ device: {}, remoteAddress: '192.0.2.1' },
});

const peersOf = (store: SimulatedStore) => ({
  findPeer: (id: string) => {
    const row = store.peers.get(id);
    if (!row) return undefined;
    const producerRouter = store.addressOf(row.producerRouterId);
    const consumerRouter = store.addressOf(row.consumerRouterId);
    return {
      ...{ ...roomPeerOf(row), roomId: row.roomId, kind: 'WebSocket', grants: row.grants },
      ...{ rtpCapabilities: row.rtpCapabilities, joined: row.joinedAt !== null },
      ...(producerRouter ? { producerRouter } : {}),
      ...(consumerRouter ? { consumerRouter } : {}),
    };
  },
  joinPeer: (
    { mediaPeerId, roomId }: { mediaPeerId: string; roomId: string },
    details: { displayName: string; rtpCapabilities?: object },
  ) => {
    const row = store.peers.get(mediaPeerId);
    if (!row) return undefined;
    row.displayName = details.displayName;
    row.rtpCapabilities = details.rtpCapabilities ?? null;
    row.joinedAt ??= store.stamp();
    return store.joinedIn(roomId, mediaPeerId).map(roomPeerOf);
  },
  othersOfRoom: ({ mediaPeerId, roomId }: { mediaPeerId: string; roomId: string }) =>
    store.joinedIn(roomId, mediaPeerId).map(roomPeerOf),
  replicasOfRoom: (roomId: string) => [
    ...new Set(
      [...store.peers.values()].filter((row) => row.roomId === roomId).map((row) => row.replicaUrl),
    ),
  ],
  transportsOfPeer: (mediaPeerId: string) =>
    [...store.tables.media_transport.values()]
      .filter((row) => row.mediaPeerId === mediaPeerId)
      .sort((a, b) => a.createdAt - b.createdAt)
      .map(({ id, direction, instanceId }) => ({
        ...{ transportId: id, direction, node: store.nodeOf(instanceId) },
      })),
  nodesOfConsumers: (ids: string[]) =>
    new Map(
      ids.flatMap((id) => {
        const { media_consumer, media_data_consumer, media_transport } = store.tables;
        const row = media_consumer.get(id) ?? media_data_consumer.get(id);
        const transport = media_transport.get(row?.transportId ?? '');
        return transport ? [[id, store.nodeOf(transport.instanceId)] as const] : [];
      }),
    ),
  existingPeers: (ids: string[]) =>
    new Map(
      ids.flatMap((id) => {
        const row = store.peers.get(id);
        const sides = row && { producer: row.producerRouterId, consumer: row.consumerRouterId };
        return sides ? [[id, sides] as const] : [];
      }),
    ),
});

const producerOf = (store: SimulatedStore, row: ProducerRow) => ({
  ...{ producerId: row.id, mediaPeerId: row.mediaPeerId, appData: row.appData },
  peerId: store.peers.get(row.mediaPeerId)?.peerId ?? '',
  owner: store.nodeOf(store.tables.media_router.get(row.routerId)?.instanceId ?? ''),
});

function objectsOf(store: SimulatedStore) {
  const { tables } = store;
  const insertProducer =
    (table: 'media_producer' | 'media_data_producer') =>
    (row: Omit<ProducerRow, 'createdAt'>): void => {
      require(tables.media_transport.has(row.transportId) && store.peers.has(row.mediaPeerId));
      tables[table].set(row.id, { ...row, createdAt: store.stamp() });
    };
  const producersOfRoom =
    (table: 'media_producer' | 'media_data_producer') => (roomId: string, except: string) =>
      [...tables[table].values()]
        .filter(({ mediaPeerId }) => store.peers.get(mediaPeerId)?.roomId === roomId)
        .filter(({ mediaPeerId }) => mediaPeerId !== except)
        .map((row) => ({ ...producerOf(store, row), kind: row.kind }));
  return {
    insertTransport: (row: Omit<TransportRow, 'createdAt'>): void => {
      const { mediaPeerId, routerId, instanceId } = row;
      require(store.peers.has(mediaPeerId) && tables.media_router.has(routerId));
      require(store.workers.has(instanceId));
      tables.media_transport.set(row.id, { ...row, createdAt: store.stamp() });
    },
    insertProducer: insertProducer('media_producer'),
    insertDataProducer: insertProducer('media_data_producer'),
    savePipeTransport: (row: Omit<PipeRow, 'createdAt'>): void => {
      require(tables.media_router.has(row.routerId) && tables.media_router.has(row.remoteRouterId));
      require(store.workers.has(row.instanceId));
      for (const old of [...tables.media_pipe_transport.values()])
        if (
          old.routerId === row.routerId &&
          old.remoteRouterId === row.remoteRouterId &&
          old.pipeEnd === row.pipeEnd
        )
          tables.media_pipe_transport.delete(old.id);
      tables.media_pipe_transport.set(row.id, { ...row, createdAt: store.stamp() });
    },
    findReceiver: (transportId: string) => {
      const row = tables.media_transport.get(transportId);
      return row?.direction === 'consumer' ? store.receiverOf(row) : undefined;
    },
    receiversOfRoom: (roomId: string, except: string) =>
      store.joinedIn(roomId, except).flatMap(({ id }) => {
        const row = store.receivingOf(id);
        return row ? [store.receiverOf(row)] : [];
      }),
    producersOfPeer: (mediaPeerId: string) =>
      [...tables.media_producer.values()]
        .filter((row) => row.mediaPeerId === mediaPeerId)
        .map((row) => ({ ...producerOf(store, row), kind: row.kind })),
    peersOfProducers: (ids: string[]) =>
      new Map(
        ids.flatMap((id) => {
          const row = tables.media_producer.get(id) ?? tables.media_data_producer.get(id);
          return row ? [[id, row.mediaPeerId] as const] : [];
        }),
      ),
    producersOfRoom: producersOfRoom('media_producer'),
    dataProducersOfRoom: producersOfRoom('media_data_producer'),
    insertConsumers: (family: 'media' | 'data', entries: ConsumerEntry[]) =>
      insertConsumers(store, family, entries),
    unrecorded: (transportIds: string[], producerIds: string[], dataProducerIds: string[]) =>
      transportIds.map((transportId) => {
        const without = (table: 'media_consumer' | 'media_data_consumer', ids: string[]) =>
          ids.filter(
            (id) =>
              ![...tables[table].values()].some(
                (row) => row.transportId === transportId && row.producerId === id,
              ),
          );
        return {
          transportId,
          producerIds: without('media_consumer', producerIds),
          dataProducerIds: without('media_data_consumer', dataProducerIds),
        };
      }),
  };
}

interface ConsumerEntry {
  consumerId: string;
  producerId: string;
  transportId: string;
}

function insertConsumers(
  store: SimulatedStore,
  family: 'media' | 'data',
  entries: ConsumerEntry[],
): Set<string> {
  const consumers = store.tables[family === 'media' ? 'media_consumer' : 'media_data_consumer'];
  const producers = store.tables[family === 'media' ? 'media_producer' : 'media_data_producer'];
  const inserted = new Set<string>();
  for (const { consumerId, producerId, transportId } of entries) {
    if (!producers.has(producerId) || !store.tables.media_transport.has(transportId)) continue;
    if (consumers.has(consumerId)) continue;
    for (const old of [...consumers.values()])
      if (old.producerId === producerId && old.transportId === transportId)
        consumers.delete(old.id);
    consumers.set(consumerId, {
      ...{ id: consumerId, producerId, transportId, createdAt: store.stamp() },
    });
    inserted.add(consumerId);
  }
  return inserted;
}

function sweepOf(store: SimulatedStore) {
  const { tables } = store;
  const isOld = ({ createdAt }: { createdAt: number }, ageMs: number): boolean =>
    createdAt < time.now() - ageMs;
  const instanceOf = (row: { instanceId?: string; transportId?: string }): string | undefined =>
    row.instanceId ?? tables.media_transport.get(row.transportId ?? '')?.instanceId;
  const missing =
    (family: 'media' | 'data') =>
    (instanceId: string, ageMs: number): { producerId: string; transportId: string }[] => {
      const producers = tables[family === 'media' ? 'media_producer' : 'media_data_producer'];
      const consumers = tables[family === 'media' ? 'media_consumer' : 'media_data_consumer'];
      return [...producers.values()].flatMap((row) => {
        const router = tables.media_router.get(row.routerId);
        if (router?.instanceId !== instanceId || !isOld(row, ageMs)) return [];
        return store.joinedIn(router.roomId, row.mediaPeerId).flatMap((peer) => {
          const receiving = store.receivingOf(peer.id);
          if (!receiving || !isOld(receiving, ageMs)) return [];
          if (!isOld({ createdAt: peer.joinedAt ?? Infinity }, ageMs)) return [];
          if (family === 'media' && peer.rtpCapabilities === null) return [];
          const has = [...consumers.values()].some(
            (one) => one.producerId === row.id && one.transportId === receiving.id,
          );
          return has ? [] : [{ producerId: row.id, transportId: receiving.id }];
        });
      });
    };
  return {
    rowsOfInstance: (instanceId: string, ageMs: number) =>
      new Map(
        (Object.keys(tables) as Table[]).map((table) => [
          table,
          [...tables[table].values()]
            .filter((row) => instanceOf(row) === instanceId && isOld(row, ageMs))
            .map(({ id }) => id),
        ]),
      ),
    deleteRows: (table: Table, ids: string[]) => {
      for (const id of ids) store.remove(table, id);
    },
    recordedOf: (objects: ReadonlyMap<Table, string[]>) =>
      new Set([...objects].flatMap(([table, ids]) => ids.filter((id) => tables[table].has(id)))),
    supersededOf: (ids: string[]) =>
      ids.filter((id) => {
        const row = tables.media_transport.get(id);
        const newest = row && store.receivingOf(row.mediaPeerId);
        return row?.direction === 'consumer' && newest !== undefined && newest.id !== id;
      }),
    missingConsumers: missing('media'),
    missingDataConsumers: missing('data'),
  };
}
