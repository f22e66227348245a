import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { SnapshotIndex } from './index-of.ts';
import type { Finding } from './kinds.ts';
import { inTable, onPod } from './places.ts';

/** The two families of what is published and watched, each with its own tables, lists and names. */
const families = [
  {
    producers: 'producers',
    consumers: 'consumers',
    producerId: 'producerId',
    consumerId: 'consumerId',
    producerTable: inTable('media_producer'),
    consumerTable: inTable('media_consumer'),
    producersOf: (node: NodeObjects) =>
      node.producers.map(({ producerId, transportId }) => ({ id: producerId, transportId })),
    consumersOf: (node: NodeObjects) =>
      node.consumers.map(({ consumerId, ...rest }) => ({ id: consumerId, ...rest })),
  },
  {
    producers: 'dataProducers',
    consumers: 'dataConsumers',
    producerId: 'dataProducerId',
    consumerId: 'dataConsumerId',
    producerTable: inTable('media_data_producer'),
    consumerTable: inTable('media_data_consumer'),
    producersOf: (node: NodeObjects) =>
      node.dataProducers.map(({ dataProducerId: id, transportId }) => ({ id, transportId })),
    consumersOf: (node: NodeObjects) =>
      node.dataConsumers.map(({ dataConsumerId: id, dataProducerId, transportId }) => ({
        id,
        producerId: dataProducerId,
        transportId,
      })),
  },
] as const;
type Family = (typeof families)[number];

const transportTable = inTable('media_transport');

/** Transports, producers and consumers: on the node that has them, and in the tables. */
export function compareObjects(index: SnapshotIndex): Finding[] {
  return [
    ...index.snapshot.nodes.flatMap((node) => liveTransports(index, node)),
    ...transportRows(index),
    ...families.flatMap((family) => [
      ...index.snapshot.nodes.flatMap((node) => liveProducers(index, family, node)),
      ...producerRows(index, family),
      ...liveConsumers(index, family),
      ...consumerRows(index, family),
    ]),
  ];
}

interface Found {
  ids: Readonly<Record<string, string>>;
  podName: string;
  table: string;
}

const unrecorded = ({ ids, podName, table }: Found): Finding => ({
  kind: 'ObjectWithoutRow',
  ids: { ...ids, podName },
  foundIn: [onPod(podName)],
  missingFrom: [table],
});
const dead = ({ ids, podName, table }: Found): Finding => ({
  kind: 'RowWithoutObject',
  ids: { ...ids, podName },
  foundIn: [table],
  missingFrom: [onPod(podName)],
});

/** Without its peer's or router's row a transport can have none. */
function liveTransports(index: SnapshotIndex, { podName, transports }: NodeObjects): Finding[] {
  return transports
    .filter(
      ({ transportId, mediaPeerId, routerId }) =>
        !index.transports.has(transportId) &&
        index.peers.has(mediaPeerId) &&
        index.routers.has(routerId),
    )
    .map(({ transportId, mediaPeerId }) =>
      unrecorded({ ids: { transportId, mediaPeerId }, podName, table: transportTable }),
    );
}

const liveTransportIds = ({ transports }: NodeObjects): Set<string> =>
  new Set(transports.map(({ transportId }) => transportId));

function transportRows({ snapshot, nodes }: SnapshotIndex): Finding[] {
  const live = new Map(snapshot.nodes.map((node) => [node.instanceId, liveTransportIds(node)]));
  return snapshot.tables.transports.flatMap(({ id, instanceId, mediaPeerId }) => {
    const node = nodes.get(instanceId);
    if (!node || live.get(instanceId)?.has(id)) return [];
    const ids = { transportId: id, mediaPeerId };
    return [dead({ ids, podName: node.podName, table: transportTable })];
  });
}

function liveProducers(index: SnapshotIndex, family: Family, node: NodeObjects): Finding[] {
  return family
    .producersOf(node)
    .filter(
      ({ id, transportId }) =>
        !index[family.producers].has(id) && index.transports.has(transportId),
    )
    .map(({ id, transportId }) =>
      unrecorded({
        ids: { [family.producerId]: id, transportId },
        podName: node.podName,
        table: family.producerTable,
      }),
    );
}

/** The node that must have what is on a transport: one that answers and has the transport. */
function nodeOfTransport(index: SnapshotIndex): (transportId: string) => NodeObjects | undefined {
  const live = new Map(
    index.snapshot.nodes.flatMap((node) =>
      node.transports.map(({ transportId }) => [transportId, node] as const),
    ),
  );
  return (transportId) => live.get(transportId);
}

function producerRows(index: SnapshotIndex, family: Family): Finding[] {
  const nodeOf = nodeOfTransport(index);
  const live = new Set(
    index.snapshot.nodes.flatMap((node) => family.producersOf(node).map(({ id }) => id)),
  );
  return index.snapshot.tables[family.producers].flatMap(({ id, transportId }) => {
    const node = nodeOf(transportId);
    if (!node || live.has(id)) return [];
    const ids = { [family.producerId]: id, transportId };
    return [dead({ ids, podName: node.podName, table: family.producerTable })];
  });
}

function liveConsumers(index: SnapshotIndex, family: Family): Finding[] {
  const produced = new Set(
    index.snapshot.nodes.flatMap((node) => family.producersOf(node).map(({ id }) => id)),
  );
  const isGone = (producerId: string): boolean => {
    if (produced.has(producerId)) return false;
    const router = index.routers.get(index[family.producers].get(producerId)?.routerId ?? '');
    return router ? index.stateOf(router.instanceId) !== 'silent' : noneSilent(index);
  };
  return index.snapshot.nodes.flatMap((node) =>
    family.consumersOf(node).flatMap(({ id, producerId, transportId }): Finding[] => {
      const { podName } = node;
      const ids = { [family.consumerId]: id, [family.producerId]: producerId, transportId };
      if (isGone(producerId))
        return [
          {
            kind: 'ConsumerWithoutProducer',
            ids: { ...ids, podName },
            foundIn: [onPod(podName)],
            missingFrom: ['every media node'],
          },
        ];
      const mayHaveRow =
        index.transports.has(transportId) && index[family.producers].has(producerId);
      if (index[family.consumers].has(id) || !mayHaveRow) return [];
      return [unrecorded({ ids, podName, table: family.consumerTable })];
    }),
  );
}

const noneSilent = ({ snapshot }: SnapshotIndex): boolean => snapshot.silentPods.length === 0;

function consumerRows(index: SnapshotIndex, family: Family): Finding[] {
  const nodeOf = nodeOfTransport(index);
  const live = new Set(
    index.snapshot.nodes.flatMap((node) => family.consumersOf(node).map(({ id }) => id)),
  );
  return index.snapshot.tables[family.consumers].flatMap(({ id, producerId, transportId }) => {
    const node = nodeOf(transportId);
    if (!node || live.has(id)) return [];
    const ids = { [family.consumerId]: id, [family.producerId]: producerId, transportId };
    return [dead({ ids, podName: node.podName, table: family.consumerTable })];
  });
}
