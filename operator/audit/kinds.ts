/** How long those who put things right take, in milliseconds. */
export interface Limits {
  /** A media node's sweep, at its first look or the one after. */
  sweepMs: number;
  /** The release of what came through a pipe and is not used. */
  pipeIdleMs: number;
  /** A pipe's destination tells its source what it needs. */
  pipeDemandMs: number;
  /** A pipe's end gives up the other one. */
  pipeLostMs: number;
  /** A room is looked at again. */
  roomMs: number;
  /** A router without a room is closed. */
  orphanMs: number;
  /** The rows of an ended instance are removed. */
  instanceMs: number;
  /** A replica may be silent before it counts as such. */
  replicaSilentMs: number;
  /** A peer without a socket is kept before it counts as abandoned. */
  detachedMs: number;
  /** The audit itself removes what it collects. */
  auditMs: number;
}

interface KindInfo {
  /** `critical`: somebody goes without media or can't join; `warning`: something is left over. */
  severity: 'critical' | 'warning';
  /** Who puts it right. */
  collector: string;
  /** After how long at most; left out where nobody does, or nobody can say. */
  after?: (limits: Limits) => number;
}

const sweep = 'the media node’s sweep';
const roomReconcile = 'the operator’s reconcile of the room';

/** Everything that an audit can find, with who puts it right. `docs/operations/audit.md` explains each. */
const kinds = {
  PlacementWithoutRouter: {
    severity: 'critical',
    collector: roomReconcile,
    after: ({ roomMs }) => roomMs,
  },
  PlacementWithoutRow: {
    severity: 'critical',
    collector: sweep,
    after: ({ sweepMs }) => sweepMs,
  },
  RouterWithoutPlacement: {
    severity: 'warning',
    collector: 'the operator’s collector of orphaned routers',
    after: ({ orphanMs }) => orphanMs,
  },
  RoomRowWithoutRoom: {
    severity: 'warning',
    collector: 'the operator’s audit',
    after: ({ auditMs }) => auditMs,
  },
  InstanceRowWithoutNode: {
    severity: 'warning',
    collector: 'the operator’s sweeper of ended instances',
    after: ({ instanceMs }) => instanceMs,
  },
  InstanceWithoutRow: {
    severity: 'critical',
    collector: sweep,
    after: ({ sweepMs }) => sweepMs,
  },
  ObjectWithoutRow: {
    severity: 'warning',
    collector: sweep,
    after: ({ sweepMs }) => sweepMs,
  },
  RowWithoutObject: {
    severity: 'warning',
    collector: sweep,
    after: ({ sweepMs }) => sweepMs,
  },
  PeerWithoutRow: {
    severity: 'warning',
    collector: sweep,
    after: ({ sweepMs }) => sweepMs,
  },
  PeerWithoutReplica: {
    severity: 'critical',
    collector: 'the signaling replicas’ reaper',
  },
  PeerWithoutRouters: {
    severity: 'critical',
    collector: 'the signaling replica that has the peer: it moves it, or has it join again',
  },
  PeerAbandoned: {
    severity: 'warning',
    collector: 'the signaling replica that has the peer: it takes leave of it',
    after: ({ detachedMs }) => detachedMs,
  },
  ReplicaSilent: {
    severity: 'warning',
    collector: 'the signaling replicas’ reaper',
    after: ({ replicaSilentMs }) => replicaSilentMs,
  },
  ConsumerMissing: {
    severity: 'critical',
    collector: 'the sweep of the producer’s media node',
    after: ({ sweepMs }) => sweepMs,
  },
  ConsumerWithoutProducer: {
    severity: 'warning',
    collector: 'the pipe that brought the producer',
    after: ({ pipeLostMs }) => pipeLostMs,
  },
  PipedProducerUnused: {
    severity: 'warning',
    collector: 'the pipe’s destination',
    after: ({ pipeIdleMs }) => pipeIdleMs,
  },
  PipeWithoutFarEnd: {
    severity: 'warning',
    collector: 'the end that is left',
    after: ({ pipeLostMs }) => pipeLostMs,
  },
  PipeContentsDiffer: {
    severity: 'warning',
    collector: 'the pipe’s destination, which tells the source what it needs',
    after: ({ pipeDemandMs }) => pipeDemandMs,
  },
  PortBlockOverlap: {
    severity: 'critical',
    collector: 'nobody: delete one of the pods',
  },
  PodWithoutPool: {
    severity: 'warning',
    collector: 'Kubernetes’ garbage collector',
  },
} as const satisfies Record<string, KindInfo>;

export type DifferenceKind = keyof typeof kinds;

export const kindNames = Object.keys(kinds) as DifferenceKind[];
export const infoOf = (kind: DifferenceKind): KindInfo => kinds[kind];

/** One difference between the places, as one look shows it. */
export interface Finding {
  kind: DifferenceKind;
  /** What it is about: ids by what they are the ids of. Two findings of one kind and the same ids are the same. */
  ids: Readonly<Record<string, string>>;
  /** Where it is. */
  foundIn: string[];
  /** Where it should be as well, and is not. */
  missingFrom: string[];
}
