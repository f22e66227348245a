import { describe, expect, it } from '@jest/globals';

import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import { AuditWorld, smallAuditWorld } from '../../testing/audit-world.ts';
import { createRandom } from '../../testing/random.ts';
import { compare } from './compare.ts';
import { kindNames, type DifferenceKind, type Finding } from './kinds.ts';
import type { Snapshot } from './snapshot.ts';

const limits = { replicaSilentMs: 60_000, detachedMs: 120_000 };
const look = (snapshot: Snapshot): Finding[] => compare(snapshot, limits);

type World = ReturnType<typeof smallAuditWorld>;
interface Want {
  kind: DifferenceKind;
  ids: Record<string, string>;
  foundIn?: string[];
  missingFrom?: string[];
}
interface Fault {
  title: string;
  /** Does it, and tells what is to be found, all of it. */
  spoil: (world: World) => Want[];
}

/** Takes out the first that fits, and returns it. */
function take<T>(items: T[], fits: (item: T) => boolean = () => true): T {
  const at = items.findIndex(fits);
  expect(at).toBeGreaterThanOrEqual(0);
  return items.splice(at, 1)[0]!;
}
const other = '11111111-1111-4111-8111-111111111111';

const routerFaults: Fault[] = [
  {
    title: 'a router that its node lost',
    spoil({ world, consumerNode }) {
      const empty = world.room('empty', consumerNode, []);
      take(consumerNode.routers, ({ routerId }) => routerId === 'empty-p');
      const { instanceId, podName } = consumerNode;
      return [
        {
          kind: 'PlacementWithoutRouter',
          ids: { routerId: empty.producer.id, podName, instanceId },
          foundIn: ['MediaRoom media/empty', 'table media_router'],
          missingFrom: [`pod consumers-0, instance ${instanceId}`],
        },
      ];
    },
  },
  {
    title: 'a placement on an instance that has ended',
    spoil({ room: { view } }) {
      view.placements.push({
        ...{ routerId: 'standup-c9', podName: 'consumers-9', instanceId: other, state: 'Ready' },
      });
      return [
        {
          kind: 'PlacementWithoutRouter',
          ids: { routerId: 'standup-c9', podName: 'consumers-9', instanceId: other },
          missingFrom: [`pod consumers-9, instance ${other}`, 'table media_router'],
        },
      ];
    },
  },
  {
    title: 'no placement that is still pending',
    spoil({ room: { view }, consumerNode: { podName, instanceId } }) {
      view.placements.push({ routerId: 'standup-c9', podName, instanceId, state: 'Pending' });
      return [];
    },
  },
  {
    title: 'a placed router without a row',
    spoil({ world, tables, consumerNode }) {
      world.room('empty', consumerNode, []);
      take(tables.routers, ({ id }) => id === 'empty-p');
      const { instanceId, podName } = consumerNode;
      return [
        {
          kind: 'PlacementWithoutRow',
          ids: { routerId: 'empty-p', podName, instanceId },
          foundIn: ['MediaRoom media/empty', 'pod consumers-0'],
          missingFrom: ['table media_router'],
        },
      ];
    },
  },
  {
    title: 'a router of no room, with a row',
    spoil({ resources, world, consumerNode }) {
      world.room('gone', consumerNode, []);
      take(resources.rooms, ({ name }) => name === 'gone');
      return [
        {
          kind: 'RouterWithoutPlacement',
          ids: { routerId: 'gone-p', roomId: 'gone', podName: 'consumers-0' },
          foundIn: ['pod consumers-0', 'table media_router'],
          missingFrom: ['MediaRooms'],
        },
      ];
    },
  },
  {
    title: 'a router of no room, without a row',
    spoil({ consumerNode }) {
      consumerNode.routers.push({ routerId: 'stray', roomId: 'gone' });
      return [
        {
          kind: 'RouterWithoutPlacement',
          ids: { routerId: 'stray', roomId: 'gone', podName: 'consumers-0' },
          missingFrom: ['MediaRooms', 'table media_router'],
        },
      ];
    },
  },
  {
    title: 'the row of a router that is nowhere',
    spoil({ tables, consumerNode: { instanceId } }) {
      tables.routers.push({ id: 'old', roomId: 'standup', instanceId });
      return [
        {
          kind: 'RowWithoutObject',
          ids: { routerId: 'old', podName: 'consumers-0' },
          foundIn: ['table media_router'],
          missingFrom: ['pod consumers-0'],
        },
      ];
    },
  },
  {
    title: 'the row of a room that nothing is of',
    spoil({ tables }) {
      tables.rooms.push({ id: 'old' });
      return [
        { kind: 'RoomRowWithoutRoom', ids: { roomId: 'old' }, foundIn: ['table media_room'] },
      ];
    },
  },
  {
    title: 'the row of an instance that does not run, once for all that hangs off it',
    spoil({ tables }) {
      tables.workers.push({ instanceId: other, podName: 'consumers-0' });
      tables.routers.push({ id: 'old', roomId: 'standup', instanceId: other });
      return [
        {
          kind: 'InstanceRowWithoutNode',
          ids: { instanceId: other, podName: 'consumers-0' },
          foundIn: ['table media_worker'],
          missingFrom: ['pod consumers-0'],
        },
      ];
    },
  },
  {
    title: 'a node without a row, once for all that is on it',
    spoil({ world, tables }) {
      const [node] = world.pool('more', 1) as [NodeObjects];
      world.room('third', node, []);
      take(tables.workers, ({ podName }) => podName === 'more-0');
      take(tables.routers, ({ id }) => id === 'third-p');
      return [
        {
          kind: 'InstanceWithoutRow',
          ids: { instanceId: node.instanceId, podName: 'more-0' },
          foundIn: ['pod more-0'],
          missingFrom: ['table media_worker'],
        },
      ];
    },
  },
];

const objectFaults: Fault[] = [
  {
    title: 'a transport without a row',
    spoil({ producerNode, room, ada }) {
      producerNode.transports.push({
        ...{ transportId: other, routerId: room.producer.id, mediaPeerId: ada.id },
      });
      return [
        {
          kind: 'ObjectWithoutRow',
          ids: { transportId: other, mediaPeerId: ada.id, podName: 'producers-0' },
          foundIn: ['pod producers-0'],
          missingFrom: ['table media_transport'],
        },
      ];
    },
  },
  {
    title: 'the row of a transport without the transport',
    spoil({ tables, ada, consumerNode: { instanceId } }) {
      tables.transports.push({
        ...{ id: other, mediaPeerId: ada.id, instanceId, direction: 'consumer', ageMs: 7_200_000 },
      });
      return [
        {
          kind: 'RowWithoutObject',
          ids: { transportId: other, mediaPeerId: ada.id, podName: 'consumers-0' },
        },
      ];
    },
  },
  {
    title: 'a producer without a row',
    spoil({ producerNode, ada: { sendingId: transportId } }) {
      producerNode.producers.push({ producerId: other, transportId });
      return [
        {
          kind: 'ObjectWithoutRow',
          ids: { producerId: other, transportId, podName: 'producers-0' },
          missingFrom: ['table media_producer'],
        },
      ];
    },
  },
  {
    title: 'the row of a data producer without the data producer',
    spoil({ tables, ada }) {
      const [{ ...row }] = tables.dataProducers as [(typeof tables.dataProducers)[number]];
      tables.dataProducers.push({ ...row, id: other });
      return [
        {
          kind: 'RowWithoutObject',
          ids: { dataProducerId: other, transportId: ada.sendingId, podName: 'producers-0' },
          foundIn: ['table media_data_producer'],
        },
      ];
    },
  },
  {
    title: 'the row of a producer without the producer, which is no missing consumer as well',
    spoil({ tables, ada }) {
      const [{ ...row }] = tables.producers as [(typeof tables.producers)[number]];
      tables.producers.push({ ...row, id: other });
      return [
        {
          kind: 'RowWithoutObject',
          ids: { producerId: other, transportId: ada.sendingId, podName: 'producers-0' },
        },
      ];
    },
  },
  {
    title: 'a data consumer without a row',
    spoil({ consumerNode, ada, bert }) {
      const [dataProducerId] = ada.dataProducerIds as [string];
      const transportId = bert.receivingId;
      consumerNode.dataConsumers.push({ dataConsumerId: other, dataProducerId, transportId });
      const ids = { dataConsumerId: other, dataProducerId, transportId, podName: 'consumers-0' };
      return [{ kind: 'ObjectWithoutRow', ids, missingFrom: ['table media_data_consumer'] }];
    },
  },
  {
    title: 'the row of a consumer without the consumer',
    spoil({ consumerNode }) {
      const ids = take(consumerNode.consumers);
      return [
        {
          kind: 'RowWithoutObject',
          ids: { ...ids, podName: 'consumers-0' },
          foundIn: ['table media_consumer'],
        },
      ];
    },
  },
  {
    title: 'a consumer whose producer is gone',
    spoil({ consumerNode, bert: { receivingId: transportId } }) {
      consumerNode.consumers.push({ consumerId: other, producerId: other, transportId });
      return [
        {
          kind: 'ConsumerWithoutProducer',
          ids: { consumerId: other, producerId: other, transportId, podName: 'consumers-0' },
          missingFrom: ['every media node'],
        },
      ];
    },
  },
];

const peerFaults: Fault[] = [
  {
    title: 'a peer on a node without a row, once for all that it has there',
    spoil({ world, tables, producerNode, consumerNode }) {
      const room = world.room('second', producerNode, [consumerNode]);
      const peer = world.peer(room);
      take(tables.peers, ({ id }) => id === peer.id);
      for (const id of [peer.sendingId, peer.receivingId])
        take(tables.transports, (transport) => transport.id === id);
      return ['producers-0', 'consumers-0'].map((podName) => ({
        kind: 'PeerWithoutRow',
        ids: { mediaPeerId: peer.id, podName },
        foundIn: [`pod ${podName}`],
        missingFrom: ['table media_peer'],
      }));
    },
  },
  {
    title: 'a session without a row that has no transport',
    spoil({ producerNode }) {
      producerNode.sessions.push(other);
      return [{ kind: 'PeerWithoutRow', ids: { mediaPeerId: other, podName: 'producers-0' } }];
    },
  },
  {
    title: 'a peer whose replica has no row',
    spoil({ tables, ada }) {
      const row = tables.peers.find(({ id }) => id === ada.id)!;
      row.replicaId = other;
      const ids = { mediaPeerId: ada.id, peerId: 'peer-0', roomId: 'standup' };
      return [{ kind: 'PeerWithoutReplica', ids, missingFrom: ['table signaling_replica'] }];
    },
  },
  {
    title: 'a peer that is bound to no consumer router',
    spoil({ tables, ada }) {
      tables.peers.find(({ id }) => id === ada.id)!.consumerRouterId = null;
      const ids = { mediaPeerId: ada.id, peerId: 'peer-0', roomId: 'standup' };
      return [{ kind: 'PeerWithoutRouters', ids, missingFrom: ['table media_router'] }];
    },
  },
  {
    title: 'a peer that has been without a socket for too long',
    spoil({ tables, ada, bert }) {
      tables.peers.find(({ id }) => id === ada.id)!.detachedForMs = 120_001;
      tables.peers.find(({ id }) => id === bert.id)!.detachedForMs = 120_000;
      const ids = { mediaPeerId: ada.id, peerId: 'peer-0', roomId: 'standup' };
      return [{ kind: 'PeerAbandoned', ids }];
    },
  },
  {
    title: 'a replica that nobody beats',
    spoil({ tables }) {
      tables.replicas.push({ id: other, url: 'http://s-1', silentMs: 60_001 });
      return [{ kind: 'ReplicaSilent', ids: { replicaId: other, url: 'http://s-1' } }];
    },
  },
];

/** Neither the row nor the consumer of ada's audio for bert. */
function loseConsumer({ tables, consumerNode, ada, bert }: World): {
  producerId: string;
  transportId: string;
} {
  const [producerId] = ada.producerIds as [string];
  const transportId = bert.receivingId;
  const fits = (consumer: { producerId: string; transportId: string }): boolean =>
    consumer.producerId === producerId && consumer.transportId === transportId;
  take(tables.consumers, fits);
  take(consumerNode.consumers, fits);
  return { producerId, transportId };
}

const consumerFaults: Fault[] = [
  {
    title: 'a consumer that a peer should have',
    spoil(world) {
      const ids = { mediaPeerId: world.bert.id, peerId: 'peer-1', roomId: 'standup' };
      return [
        {
          kind: 'ConsumerMissing',
          ids: { ...loseConsumer(world), ...ids },
          foundIn: ['table media_producer'],
          missingFrom: ['table media_consumer'],
        },
      ];
    },
  },
  {
    title: 'a data consumer that a peer should have',
    spoil({ tables, consumerNode, bert }) {
      const { id, producerId, transportId } = take(
        tables.dataConsumers,
        (row) => row.transportId === bert.receivingId,
      );
      take(consumerNode.dataConsumers, ({ dataConsumerId }) => dataConsumerId === id);
      const ids = { mediaPeerId: bert.id, peerId: 'peer-1', roomId: 'standup' };
      return [
        { kind: 'ConsumerMissing', ids: { dataProducerId: producerId, transportId, ...ids } },
      ];
    },
  },
  {
    title: 'no consumer that was tried in vain',
    spoil(world) {
      world.producerNode.refused.push(loseConsumer(world));
      return [];
    },
  },
  {
    title: 'no consumer that no sweep has looked for yet',
    spoil(world) {
      const { producerId } = loseConsumer(world);
      world.tables.producers.find(({ id }) => id === producerId)!.ageMs = 35_000;
      return [];
    },
  },
  {
    title: 'no consumer of a peer that may not watch',
    spoil(world) {
      loseConsumer(world);
      world.tables.peers.find(({ id }) => id === world.bert.id)!.watches.media = false;
      return [];
    },
  },
  {
    title: 'no consumer on a transport that another has replaced',
    spoil(world) {
      const { tables, consumerNode, bert, room } = world;
      const { producerId, transportId } = loseConsumer(world);
      const newest = { ...tables.transports.find(({ id }) => id === transportId)!, id: other };
      tables.transports.push({ ...newest, ageMs: newest.ageMs - 1 });
      consumerNode.transports.push({
        ...{ transportId: other, routerId: room.consumers[0]!.id, mediaPeerId: bert.id },
      });
      tables.consumers.push({ id: other, producerId, transportId: other });
      consumerNode.consumers.push({ consumerId: other, producerId, transportId: other });
      tables.dataConsumers.push({
        id: other,
        producerId: world.ada.dataProducerIds[0]!,
        transportId: other,
      });
      consumerNode.dataConsumers.push({
        ...{
          dataConsumerId: other,
          dataProducerId: world.ada.dataProducerIds[0]!,
          transportId: other,
        },
      });
      return [];
    },
  },
];

const pipeFaults: Fault[] = [
  {
    title: 'a piped producer that nobody has used for longer than the node keeps it',
    spoil({ consumerNode, ada, bert }) {
      const pipe = consumerNode.pipes[0]!;
      pipe.unused.push({ id: ada.producerIds[0]!, forMs: 45_001 });
      pipe.unused.push({ id: bert.producerIds[0]!, forMs: 45_000 });
      const { pipeTransportId } = pipe;
      const ids = { producerId: ada.producerIds[0]!, pipeTransportId, podName: 'consumers-0' };
      return [{ kind: 'PipedProducerUnused', ids }];
    },
  },
  {
    title: 'the source of a pipe without a destination',
    spoil({ producerNode, consumerNode, room: { producer, consumers }, tables }) {
      producerNode.pipes.push({
        ...{ pipeTransportId: other, end: 'source', routerId: producer.id },
        ...{ remoteRouterId: consumers[0]!.id, remoteInstanceId: consumerNode.instanceId },
        ...{ remotePipeTransportId: other, producerIds: [], dataProducerIds: [], unused: [] },
      });
      producerNode.pipes.at(-1)!.remotePipeTransportId = other.replaceAll('1', '2');
      tables.pipes.push({
        ...{ id: other, routerId: producer.id, remoteRouterId: consumers[0]!.id },
        instanceId: producerNode.instanceId,
      });
      return [
        {
          kind: 'PipeWithoutFarEnd',
          ids: {
            ...{ pipeTransportId: other, remotePipeTransportId: other.replaceAll('1', '2') },
            ...{ end: 'source', podName: 'producers-0' },
          },
          foundIn: ['pod producers-0'],
          missingFrom: [`pod consumers-0, instance ${consumerNode.instanceId}`],
        },
      ];
    },
  },
  {
    title: 'a producer that goes into a pipe and does not come out',
    spoil({ producerNode, consumerNode }) {
      producerNode.pipes[0]!.producerIds.push(other);
      const { pipeTransportId } = consumerNode.pipes[0]!;
      return [
        {
          kind: 'PipeContentsDiffer',
          ids: { producerId: other, pipeTransportId },
          foundIn: ['pod producers-0, source'],
          missingFrom: ['pod consumers-0, destination'],
        },
      ];
    },
  },
  {
    title: 'a producer that comes out of a pipe and does not go in',
    spoil({ producerNode, consumerNode, ada }) {
      const [producerId] = ada.producerIds as [string];
      take(producerNode.pipes[0]!.producerIds, (id) => id === producerId);
      const { pipeTransportId } = consumerNode.pipes[0]!;
      return [
        {
          kind: 'PipeContentsDiffer',
          ids: { producerId, pipeTransportId },
          foundIn: ['pod consumers-0, destination'],
        },
      ];
    },
  },
  {
    title: 'the end of a pipe without a row',
    spoil({ tables, consumerNode }) {
      const { pipeTransportId } = consumerNode.pipes[0]!;
      take(tables.pipes, ({ id }) => id === pipeTransportId);
      const ids = { pipeTransportId, podName: 'consumers-0' };
      return [{ kind: 'ObjectWithoutRow', ids, missingFrom: ['table media_pipe_transport'] }];
    },
  },
  {
    title: 'the row of a pipe without the pipe',
    spoil({ tables, consumerNode: { instanceId } }) {
      tables.pipes.push({ id: other, routerId: 'standup-c0', remoteRouterId: 'x', instanceId });
      return [
        { kind: 'RowWithoutObject', ids: { pipeTransportId: other, podName: 'consumers-0' } },
      ];
    },
  },
];

const podFaults: Fault[] = [
  {
    title: 'ports that two pods have',
    spoil({ resources: { pods } }) {
      pods[1]!.ports = { start: 40_009, end: 40_018 };
      return [
        {
          kind: 'PortBlockOverlap',
          ids: {
            ...{ namespace: 'media', podName: 'producers-0' },
            ...{ otherNamespace: 'media', otherPodName: 'consumers-0' },
          },
          foundIn: [
            'pod media/producers-0, ports 40000-40009',
            'pod media/consumers-0, ports 40009-40018',
          ],
        },
      ];
    },
  },
  {
    title: 'a pod without its pool',
    spoil({ resources: { pools } }) {
      take(pools, ({ name }) => name === 'consumers');
      const ids = { namespace: 'media', podName: 'consumers-0', pool: 'consumers' };
      return [{ kind: 'PodWithoutPool', ids, missingFrom: ['MediaWorkers'] }];
    },
  },
];

const faults = [
  ...routerFaults,
  ...objectFaults,
  ...peerFaults,
  ...consumerFaults,
  ...pipeFaults,
  ...podFaults,
];

describe('the comparison', () => {
  it('finds nothing where all places say the same', () => {
    expect(look(smallAuditWorld().world.snapshot)).toEqual([]);
  });

  it.each(faults)('finds exactly $title', ({ spoil }) => {
    const world = smallAuditWorld();
    const want = spoil(world);
    const found = look(world.world.snapshot);
    expect(found).toHaveLength(want.length);
    for (const difference of want)
      expect(found).toContainEqual(expect.objectContaining({ ...difference }));
  });

  it('has a case for each kind', () => {
    const found = faults.flatMap(({ spoil }) => spoil(smallAuditWorld()).map(({ kind }) => kind));
    expect([...new Set(found)].sort()).toEqual([...kindNames].sort());
  });

  it('says nothing of what is on a node that could not be asked', () => {
    const { world, nodes, silentPods, consumerNode } = smallAuditWorld();
    nodes.splice(nodes.indexOf(consumerNode), 1);
    silentPods.push('consumers-0');
    expect(look(world.snapshot)).toEqual([]);
  });

  it('finds what a node that was killed leaves in all the places', () => {
    const { world, nodes, resources, consumerNode } = smallAuditWorld();
    nodes.splice(nodes.indexOf(consumerNode), 1);
    resources.pods.find(({ name }) => name === 'consumers-0')!.runs = false;
    expect(look(world.snapshot).map(({ kind }) => kind)).toEqual([
      'InstanceRowWithoutNode',
      'PlacementWithoutRouter',
      'PipeWithoutFarEnd',
    ]);
  });
});

/** A consistent platform of any shape. */
function randomWorld(random: () => number): AuditWorld {
  const upTo = (most: number): number => Math.floor(random() * (most + 1));
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const world = new AuditWorld();
  const producers = world.pool('producers', 1 + upTo(2));
  const consumers = [...world.pool('consumers', 1 + upTo(3)), ...producers];
  for (let r = upTo(4); r >= 0; r--) {
    const room = world.room(`room-${r}`, pick(producers), [pick(consumers)]);
    for (let p = upTo(5); p > 0; p--) {
      const peer = world.peer(room);
      for (let n = upTo(2); n > 0; n--) world.publish(peer, random() < 0.7 ? 'media' : 'data');
    }
  }
  return world;
}

/**
 * Each list of the snapshot in which one entry more or less is a fault, as a place of its own. Rooms and replicas without
 * an owner are common: to lose one is none.
 */
function listsOf({ snapshot: { tables, nodes, resources } }: AuditWorld): unknown[][] {
  const rows = Object.entries(tables)
    .filter(([name]) => name !== 'rooms' && name !== 'replicas')
    .map(([, list]) => list as unknown[]);
  return [
    ...rows,
    ...nodes.flatMap((node) => [
      ...[node.routers, node.transports, node.producers, node.dataProducers],
      ...[node.consumers, node.dataConsumers, node.pipes],
      ...node.pipes.flatMap((pipe) => [pipe.producerIds, pipe.dataProducerIds]),
    ]),
    ...resources.rooms.map(({ placements }) => placements),
    resources.pools,
  ].filter((list) => list.length > 0);
}

describe('the comparison of random platforms', () => {
  const seeds = Array.from({ length: 150 }, (_, i) => i + 1);

  it('finds nothing where they are consistent', () => {
    for (const seed of seeds) {
      const world = randomWorld(createRandom(seed));
      expect({ seed, found: look(world.snapshot) }).toEqual({ seed, found: [] });
    }
  });

  it('finds any entry of any list that is lost', () => {
    for (const seed of seeds) {
      const random = createRandom(seed);
      const world = randomWorld(random);
      const lists = listsOf(world);
      const list = lists[Math.floor(random() * lists.length)]!;
      const [lost] = list.splice(Math.floor(random() * list.length), 1);
      expect({ seed, lost, found: look(world.snapshot).length > 0 }).toMatchObject({ found: true });
    }
  });
});
