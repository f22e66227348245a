/**
 * Placement: which router of a room runs on which node. Pure functions of what is known; nothing here does I/O.
 *
 * Terms. *side*: Producer (what peers publish comes in) or Consumer (what they watch goes out); a placement of role Both
 * serves both sides on one router. *active*: a placement that peers may be bound to now or soon, i.e. not draining.
 */
import type { MediaRoomSpec, Placement } from '../../common/resources/types.ts';
import type { NodeRole } from '../../common/wire/media-node.ts';

export type Side = 'Producer' | 'Consumer';

/** Unreachable and Dead differ in what becomes of routers that are on the node, not in whether new ones go there. */
export type NodeState = 'Pending' | 'Ready' | 'Draining' | 'Unreachable' | 'Dead';

interface NodeFigures {
  routers: number;
  producers: number;
  consumers: number;
}

/** A node that answers or has answered, with its pool's properties. */
export interface NodeCandidate {
  podName: string;
  instanceId: string;
  url: string;
  pool: string;
  poolLabels: Record<string, string>;
  role: NodeRole;
  state: NodeState;
  /** mediasoup workers on the node. */
  workers: number;
  /** What the node may carry in all. */
  capacity: NodeFigures;
  /** What it carries, routers that are decided but not made yet included. */
  load: NodeFigures & { cpuPercent: number };
  /** Routers that are decided, and that the node's last answer did not list: their load is still to come. */
  unseen: number;
  /** What a router carries on average over all nodes: the best guess for one that is unseen. */
  averageRouter: { producers: number; consumers: number };
}

/** When a node counts as busy, and how coarsely loads are compared. */
export interface PlacementPolicy {
  /** A node whose busiest worker uses more is taken only where no other fits. */
  busyCpuPercent: number;
  /** Loads that differ by less are equal, so that noise decides nothing. */
  loadStepPercent: number;
}

export interface PlacementRequest {
  room: { name: string; uid: string } & {
    [K in 'producers' | 'consumers']: Pick<MediaRoomSpec[K], 'selector'>;
  };
  /** How many active routers each side is to have. */
  wanted: Readonly<Record<Side, number>>;
  /** Set when a consumer router is added for want of room: then only to a node whose consumers are below this. */
  growBelowPercent?: number;
  current: readonly Placement[];
  /** The room's placement generation so far; 0 before the first placement. */
  generation: number;
  nodes: readonly NodeCandidate[];
  /** Routers of `current` that are gone with their instance. */
  lost: ReadonlySet<string>;
  /** Routers of `current` that no peer is bound to. */
  empty: ReadonlySet<string>;
  /** Router of `current` that is to go before any other where there are too many. */
  leaving?: string;
  /** Draining routers of `current` that may be closed: their peers have moved, or had the time to. */
  drained: ReadonlySet<string>;
  /** Routers of `current` on nodes that drain whose turn to leave has not come yet. */
  held: ReadonlySet<string>;
  /** Instances that refused a router lately. */
  refusing: ReadonlySet<string>;
  policy: PlacementPolicy;
}

export interface Shortfall {
  side: Side;
  wanted: number;
  placed: number;
  /** For a person: what is missing, and what helps. Without figures that change by the second. */
  message: string;
}

/** Why a router takes no more peers: its node drains, the spec no longer selects its pool, or the room has too many. */
export type DrainCause = 'NodeDraining' | 'NotSelected' | 'Surplus';

export interface PlacementDecision {
  placements: Placement[];
  generation: number;
  /** Drained routers on live nodes: to be closed there; they are no more in `placements`. */
  released: Placement[];
  /** Routers that begin to drain with this decision, by id. */
  draining: ReadonlyMap<string, DrainCause>;
  shortfalls: Shortfall[];
}
