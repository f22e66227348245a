import type { MediaRoomStatus } from '../../common/resources/types.ts';
import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { PortBlock } from '../workers/ports.ts';

/**
 * What the three places say of the platform at one look.
 *
 * Terms. *place*: the custom resources with their pods, the session tables, or one media node. *silent*: a pod that runs
 * and could not be asked; of what is on it nothing is known, so nothing is said about it.
 */
export interface Snapshot {
  resources: ResourcesView;
  tables: TablesView;
  /** The nodes that answered, each pod's present instance. */
  nodes: NodeObjects[];
  /** Names of the silent pods. */
  silentPods: string[];
}

export interface ResourcesView {
  rooms: RoomView[];
  pools: Named[];
  pods: PodView[];
}

interface Named {
  namespace: string;
  name: string;
}

type Placement = NonNullable<MediaRoomStatus['placements']>[number];

export interface RoomView extends Named {
  placements: Pick<Placement, 'routerId' | 'podName' | 'instanceId' | 'state'>[];
}

export interface PodView extends Named {
  /** Name of the pool that the pod says it is of. */
  pool: string;
  /** Whether the pod's process runs, as far as the pod says. */
  runs: boolean;
  url: string | undefined;
  ports: PortBlock | undefined;
}

/** The rows, of one moment. Ages are the database's, in milliseconds. */
export interface TablesView {
  workers: { instanceId: string; podName: string }[];
  replicas: { id: string; url: string; silentMs: number }[];
  rooms: { id: string }[];
  routers: { id: string; roomId: string; instanceId: string }[];
  peers: PeerRow[];
  transports: TransportRow[];
  pipes: PipeRow[];
  producers: ProducerRow[];
  dataProducers: ProducerRow[];
  consumers: ConsumerRow[];
  dataConsumers: ConsumerRow[];
}

interface PeerRow {
  id: string;
  roomId: string;
  peerId: string;
  replicaId: string;
  producerRouterId: string | null;
  consumerRouterId: string | null;
  /** Null: it has not joined. */
  joinedForMs: number | null;
  /** Null: its replica holds its socket. */
  detachedForMs: number | null;
  /** Whether it is to get the others' media, and their data, without asking for it. */
  watches: { media: boolean; data: boolean };
}

interface TransportRow {
  id: string;
  mediaPeerId: string;
  instanceId: string;
  direction: 'producer' | 'consumer';
  ageMs: number;
}

interface PipeRow {
  id: string;
  routerId: string;
  remoteRouterId: string;
  instanceId: string;
}

interface ProducerRow {
  id: string;
  transportId: string;
  mediaPeerId: string;
  routerId: string;
  ageMs: number;
}

interface ConsumerRow {
  id: string;
  producerId: string;
  transportId: string;
}
