import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { SnapshotIndex } from './index-of.ts';
import type { Finding, Limits } from './kinds.ts';
import { inTable, onPod } from './places.ts';
import type { TablesView } from './snapshot.ts';

type Peer = TablesView['peers'][number];

const peerTable = inTable('media_peer');
const replicaTable = inTable('signaling_replica');
const routerTable = inTable('media_router');

/** Peers with what they are bound to, signaling replicas, and who should watch whom. */
export function comparePeers(
  index: SnapshotIndex,
  limits: Pick<Limits, 'replicaSilentMs' | 'detachedMs'>,
): Finding[] {
  return [
    ...index.snapshot.nodes.flatMap((node) => livePeers(index, node)),
    ...peerRows(index, limits),
    ...replicas(index, limits),
    ...missingConsumers(index, 'media'),
    ...missingConsumers(index, 'data'),
  ];
}

function livePeers({ peers }: SnapshotIndex, node: NodeObjects): Finding[] {
  const { podName, transports, sessions } = node;
  const known = new Set([...sessions, ...transports.map(({ mediaPeerId }) => mediaPeerId)]);
  return [...known]
    .filter((mediaPeerId) => !peers.has(mediaPeerId))
    .map((mediaPeerId) => ({
      kind: 'PeerWithoutRow',
      ids: { mediaPeerId, podName },
      foundIn: [onPod(podName)],
      missingFrom: [peerTable],
    }));
}

const idsOf = ({ id, peerId, roomId }: Peer) => ({ mediaPeerId: id, peerId, roomId });

function peerRows(
  { snapshot, routers }: SnapshotIndex,
  { detachedMs }: Pick<Limits, 'detachedMs'>,
): Finding[] {
  const replicaIds = new Set(snapshot.tables.replicas.map(({ id }) => id));
  const isBound = (routerId: string | null): boolean => routerId !== null && routers.has(routerId);
  return snapshot.tables.peers.flatMap((peer): Finding[] => {
    const found = { ids: idsOf(peer), foundIn: [peerTable] };
    const findings: Finding[] = [];
    if (!replicaIds.has(peer.replicaId))
      findings.push({ ...found, kind: 'PeerWithoutReplica', missingFrom: [replicaTable] });
    if (!isBound(peer.producerRouterId) || !isBound(peer.consumerRouterId))
      findings.push({ ...found, kind: 'PeerWithoutRouters', missingFrom: [routerTable] });
    if (peer.detachedForMs !== null && peer.detachedForMs > detachedMs)
      findings.push({ ...found, kind: 'PeerAbandoned', missingFrom: ['every signaling replica'] });
    return findings;
  });
}

function replicas(
  { snapshot }: SnapshotIndex,
  { replicaSilentMs }: Pick<Limits, 'replicaSilentMs'>,
): Finding[] {
  return snapshot.tables.replicas
    .filter(({ silentMs }) => silentMs > replicaSilentMs)
    .map(({ id, url }) => ({
      kind: 'ReplicaSilent',
      ids: { replicaId: id, url },
      foundIn: [replicaTable],
      missingFrom: ['its heartbeats'],
    }));
}

const tablesOf = {
  media: {
    producers: 'producers',
    consumers: 'consumers',
    producerId: 'producerId',
    consumerTable: inTable('media_consumer'),
  },
  data: {
    producers: 'dataProducers',
    consumers: 'dataConsumers',
    producerId: 'dataProducerId',
    consumerTable: inTable('media_data_consumer'),
  },
} as const;
type Family = keyof typeof tablesOf;

interface Watcher {
  peer: Peer;
  transportId: string;
  /** For how long it has been able to watch. */
  readyForMs: number;
}

/** Joined peers that watch without asking, with their newest receiving transport, by room. */
function watchersByRoom({ snapshot }: SnapshotIndex, family: Family): Map<string, Watcher[]> {
  const newest = new Map<string, TablesView['transports'][number]>();
  for (const transport of snapshot.tables.transports) {
    if (transport.direction !== 'consumer') continue;
    const known = newest.get(transport.mediaPeerId);
    if (!known || transport.ageMs < known.ageMs) newest.set(transport.mediaPeerId, transport);
  }
  const watchers = snapshot.tables.peers.flatMap((peer): Watcher[] => {
    const transport = newest.get(peer.id);
    if (!transport || peer.joinedForMs === null || !peer.watches[family]) return [];
    const readyForMs = Math.min(peer.joinedForMs, transport.ageMs);
    return [{ peer, transportId: transport.id, readyForMs }];
  });
  return Map.groupBy(watchers, ({ peer }) => peer.roomId);
}

interface Pair {
  transportId: string;
  producerId: string;
}

function producersByTransport(pairs: readonly Pair[]): ReadonlyMap<string, ReadonlySet<string>> {
  const byTransport = new Map<string, Set<string>>();
  for (const { transportId, producerId } of pairs) {
    const producers = byTransport.get(transportId) ?? new Set();
    byTransport.set(transportId, producers.add(producerId));
  }
  return byTransport;
}

/**
 * Producers that a peer should watch and has no consumer for. What the producer's node has not had the time to sweep is
 * left out: only a sweep finds out that a peer can't consume something, which is no fault.
 */
function missingConsumers(index: SnapshotIndex, family: Family): Finding[] {
  const { snapshot, nodes, routers, peers } = index;
  const { producers, consumers, producerId: idName, consumerTable } = tablesOf[family];
  const settled = producersByTransport([
    ...snapshot.tables[consumers],
    ...snapshot.nodes.flatMap(({ refused }) => refused),
  ]);
  const watchers = watchersByRoom(index, family);
  const live = new Set(
    snapshot.nodes.flatMap((node) => [
      ...node.producers.map(({ producerId }) => producerId),
      ...node.dataProducers.map(({ dataProducerId }) => dataProducerId),
    ]),
  );
  return snapshot.tables[producers].flatMap((producer): Finding[] => {
    const node = nodes.get(routers.get(producer.routerId)?.instanceId ?? '');
    if (!node || !live.has(producer.id)) return [];
    const { sweepGraceMs, sweepIntervalMs } = node.limits;
    const room = watchers.get(peers.get(producer.mediaPeerId)?.roomId ?? '') ?? [];
    return room
      .filter(
        ({ peer, transportId, readyForMs }) =>
          peer.id !== producer.mediaPeerId &&
          Math.min(readyForMs, producer.ageMs) > sweepGraceMs + sweepIntervalMs &&
          !settled.get(transportId)?.has(producer.id),
      )
      .map(({ peer, transportId }) => ({
        kind: 'ConsumerMissing',
        ids: { [idName]: producer.id, transportId, ...idsOf(peer) },
        foundIn: [inTable(`media_${family === 'media' ? '' : 'data_'}producer`)],
        missingFrom: [consumerTable],
      }));
  });
}
