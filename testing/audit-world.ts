import type { Snapshot, PodView, RoomView } from '../operator/audit/snapshot.ts';
import type { NodeObjects } from '../common/wire/media-node-objects.ts';

const hour = 3_600_000;

/** Ids that look like those of the platform, the same at each run. */
class Ids {
  #count = 0;

  next(): string {
    this.#count++;
    return `00000000-0000-4000-8000-${this.#count.toString(16).padStart(12, '0')}`;
  }
}

interface Router {
  id: string;
  node: NodeObjects;
}

export interface AuditRoom {
  name: string;
  view: RoomView;
  producer: Router;
  consumers: Router[];
  peers: AuditPeer[];
}

export interface AuditPeer {
  id: string;
  room: AuditRoom;
  consumerRouter: Router;
  sendingId: string;
  receivingId: string;
  producerIds: string[];
  dataProducerIds: string[];
}

type PeerRow = Snapshot['tables']['peers'][number];

/** A platform whose resources, tables and nodes say the same, to be spoilt by tests. */
export class AuditWorld {
  readonly snapshot: Snapshot = {
    resources: { rooms: [], pools: [], pods: [] },
    tables: {
      ...{ workers: [], replicas: [], rooms: [], routers: [], peers: [], transports: [] },
      ...{ pipes: [], producers: [], dataProducers: [], consumers: [], dataConsumers: [] },
    },
    nodes: [],
    silentPods: [],
  };
  readonly rooms: AuditRoom[] = [];
  readonly ids = new Ids();
  readonly #replicaId = this.ids.next();

  constructor() {
    this.snapshot.tables.replicas.push({ id: this.#replicaId, url: 'http://s-0', silentMs: 900 });
  }

  /** A pool with this many nodes. */
  pool(name: string, nodes: number): NodeObjects[] {
    this.snapshot.resources.pools.push({ namespace: 'media', name });
    return Array.from({ length: nodes }, (_, i) => this.#node(name, i));
  }

  #node(pool: string, i: number): NodeObjects {
    const { resources, tables, nodes } = this.snapshot;
    const podName = `${pool}-${i}`;
    const start = 40_000 + resources.pods.length * 10;
    const pod: PodView = {
      ...{ namespace: 'media', name: podName, pool, runs: true },
      ...{ url: `http://${podName}`, ports: { start, end: start + 9 } },
    };
    resources.pods.push(pod);
    const instanceId = this.ids.next();
    tables.workers.push({ instanceId, podName });
    const node: NodeObjects = {
      ...{ instanceId, podName, routers: [], transports: [], producers: [], dataProducers: [] },
      ...{ consumers: [], dataConsumers: [], pipes: [], sessions: [], refused: [] },
      limits: {
        ...{ sweepIntervalMs: 15_000, sweepGraceMs: 20_000 },
        ...{ pipeIdleMs: 30_000, pipeDemandIntervalMs: 10_000, pipeLostAfterMs: 60_000 },
      },
    };
    nodes.push(node);
    return node;
  }

  room(name: string, producer: NodeObjects, consumers: NodeObjects[]): AuditRoom {
    const { resources, tables } = this.snapshot;
    const view: RoomView = { namespace: 'media', name, placements: [] };
    resources.rooms.push(view);
    tables.rooms.push({ id: name });
    const place = (node: NodeObjects, side: string): Router => {
      const id = `${name}-${side}`;
      const { instanceId, podName } = node;
      view.placements.push({ routerId: id, podName, instanceId, state: 'Ready' });
      node.routers.push({ routerId: id, roomId: name });
      tables.routers.push({ id, roomId: name, instanceId });
      return { id, node };
    };
    const room = {
      ...{ name, view, peers: [] },
      producer: place(producer, 'p'),
      consumers: consumers.map((node, i) => place(node, `c${i}`)),
    };
    this.rooms.push(room);
    return room;
  }

  /** A joined peer with both transports, which watches all that is published. */
  peer(room: AuditRoom, change: Partial<PeerRow> = {}): AuditPeer {
    const { tables } = this.snapshot;
    const consumerRouter = room.consumers[room.peers.length % room.consumers.length]!;
    const id = this.ids.next();
    const transport = ({ id: routerId, node }: Router, direction: 'producer' | 'consumer') => {
      const transportId = this.ids.next();
      node.transports.push({ transportId, routerId, mediaPeerId: id });
      const { instanceId } = node;
      tables.transports.push({
        id: transportId,
        mediaPeerId: id,
        instanceId,
        direction,
        ageMs: hour,
      });
      return transportId;
    };
    tables.peers.push({
      ...{ id, roomId: room.name, peerId: `peer-${room.peers.length}`, replicaId: this.#replicaId },
      ...{ producerRouterId: room.producer.id, consumerRouterId: consumerRouter.id },
      ...{ joinedForMs: hour, detachedForMs: null, watches: { media: true, data: true } },
      ...change,
    });
    room.producer.node.sessions.push(id);
    const peer: AuditPeer = {
      ...{ id, room, consumerRouter, producerIds: [], dataProducerIds: [] },
      sendingId: transport(room.producer, 'producer'),
      receivingId: transport(consumerRouter, 'consumer'),
    };
    for (const other of room.peers) {
      for (const producerId of other.producerIds) this.#watch(peer, producerId, 'media');
      for (const producerId of other.dataProducerIds) this.#watch(peer, producerId, 'data');
    }
    room.peers.push(peer);
    return peer;
  }

  publish(peer: AuditPeer, family: 'media' | 'data' = 'media'): string {
    const { tables } = this.snapshot;
    const { room, sendingId: transportId } = peer;
    const id = this.ids.next();
    const row = {
      ...{ id, transportId, mediaPeerId: peer.id, routerId: room.producer.id, ageMs: hour },
    };
    if (family === 'media') {
      room.producer.node.producers.push({ producerId: id, transportId });
      tables.producers.push(row);
      peer.producerIds.push(id);
    } else {
      room.producer.node.dataProducers.push({ dataProducerId: id, transportId });
      tables.dataProducers.push(row);
      peer.dataProducerIds.push(id);
    }
    for (const other of room.peers) if (other !== peer) this.#watch(other, id, family);
    return id;
  }

  #watch(peer: AuditPeer, producerId: string, family: 'media' | 'data'): void {
    const { tables } = this.snapshot;
    const { node } = peer.consumerRouter;
    const id = this.ids.next();
    const transportId = peer.receivingId;
    const row = { id, producerId, transportId };
    if (family === 'media') {
      node.consumers.push({ consumerId: id, producerId, transportId });
      tables.consumers.push(row);
    } else {
      node.dataConsumers.push({ dataConsumerId: id, dataProducerId: producerId, transportId });
      tables.dataConsumers.push(row);
    }
    this.#pipe(peer, producerId, family === 'media' ? 'producerIds' : 'dataProducerIds');
  }

  /** Makes sure that the pipe to the peer's router exists and has the producer. */
  #pipe(
    { room: { producer }, consumerRouter }: AuditPeer,
    producerId: string,
    list: 'producerIds' | 'dataProducerIds',
  ): void {
    if (producer.node === consumerRouter.node) return;
    const between = (node: NodeObjects, near: string, far: string) =>
      node.pipes.find(
        ({ routerId, remoteRouterId }) => routerId === near && remoteRouterId === far,
      );
    const source = between(producer.node, producer.id, consumerRouter.id);
    const destination = between(consumerRouter.node, consumerRouter.id, producer.id);
    if (!source || !destination) {
      this.#connect(producer, consumerRouter);
      this.#pipe({ room: { producer }, consumerRouter } as AuditPeer, producerId, list);
      return;
    }
    for (const end of [source, destination])
      if (!end[list].includes(producerId)) end[list].push(producerId);
  }

  #connect(from: Router, to: Router): void {
    const ids = { source: this.ids.next(), destination: this.ids.next() };
    const add = (end: 'source' | 'destination', near: Router, far: Router): void => {
      near.node.pipes.push({
        ...{ end, pipeTransportId: ids[end], routerId: near.id, remoteRouterId: far.id },
        remoteInstanceId: far.node.instanceId,
        remotePipeTransportId: ids[end === 'source' ? 'destination' : 'source'],
        ...{ producerIds: [], dataProducerIds: [], unused: [] },
      });
      this.snapshot.tables.pipes.push({
        ...{ id: ids[end], routerId: near.id, remoteRouterId: far.id },
        instanceId: near.node.instanceId,
      });
    };
    add('source', from, to);
    add('destination', to, from);
  }
}

/** A room with two nodes, and two peers who both publish audio and data. */
export function smallAuditWorld() {
  const world = new AuditWorld();
  const [producerNode] = world.pool('producers', 1) as [NodeObjects];
  const [consumerNode] = world.pool('consumers', 1) as [NodeObjects];
  const room = world.room('standup', producerNode, [consumerNode]);
  const [ada, bert] = [world.peer(room), world.peer(room)];
  for (const peer of [ada, bert])
    for (const family of ['media', 'data'] as const) world.publish(peer, family);
  return { world, ...world.snapshot, producerNode, consumerNode, room, ada, bert };
}
