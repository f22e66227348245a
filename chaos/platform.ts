import type { Knex } from 'knex';

import type { MediaWorker } from '../common/resources/types.ts';
import type { NodeStatus } from '../common/wire/media-node.ts';

export type Component =
  'media-node' | 'signaling' | 'operator' | 'postgres' | 'kube-apiserver' | 'etcd';

/** A running part of the platform. */
export interface Running {
  component: Component;
  /** Of the pod, or of the process where there are no pods. */
  name: string;
  pid: number;
}

/** A media node with what it says of itself. */
export interface MediaNode {
  pod: string;
  pool: string;
  /** The machine that its pod is on. */
  machine: string;
  /** Address of the pod. */
  address: string;
  status: NodeStatus;
}

/** What can be cut between clients and signaling. */
export interface Ingress {
  /** Resets every connection. */
  reset: () => void;
  /** Lets nothing through in either direction, on connections old and new, and tells nobody. */
  silence: () => void;
  /** Lets all through again; what waited comes at last. */
  heal: () => void;
}

/** What a fault does something to. A platform that can't do a thing leaves it out, and with it the faults that need it. */
export interface Platform {
  pageUrl: string;
  /** Of WebSockets, through the ingress. */
  signalingUrl: string;
  /** Tokens where they are wanted. */
  tokenOf: (room: string, peer: string) => Promise<string | undefined>;
  /** Flags for the browser. */
  browserFlags: string[];
  knex: Knex;
  /** All media nodes that answer. */
  mediaNodes: () => Promise<MediaNode[]>;
  processes: () => Promise<Running[]>;
  pools: () => Promise<MediaWorker[]>;
  patchPool: (name: string, spec: object) => Promise<void>;
  /** As `kubectl cordon`: the pods there are moved away. */
  cordon: (machine: string, cordoned: boolean) => Promise<void>;
  /** Ends a component and starts it again after a while. */
  away: (
    component: Component,
    options: { signal: 'SIGKILL' | 'SIGTERM'; ms: number },
  ) => Promise<void>;
  ingress?: Ingress;
  /** Cuts a media node off: its media alone, or all that it says and hears. Resolves to what mends it. */
  cut?: ((node: MediaNode, what: 'udp' | 'all') => Promise<() => Promise<void>>) | undefined;
  /** Leaves no space on the disk of a component. Resolves to what makes some again. */
  fillDisk?: ((of: 'postgres' | 'logs') => Promise<() => Promise<void>>) | undefined;
  /**
   * Compares resources, tables and nodes until they are the same.
   *
   * @throws Error naming what stays different
   */
  audit: () => Promise<void>;
  /** Waits until everything runs and is as the specs say. */
  steady: () => Promise<void>;
  stop: () => Promise<void>;
}
