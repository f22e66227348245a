// Generated from crds/kube-sfu.dev_mediaworkers.yaml by "npm run generate". Do not edit.

/**
 * The pool that is wanted.
 */
export interface MediaWorkerSpec {
  /**
   * What the nodes do. Producer nodes receive what peers publish, Consumer nodes send to peers what they watch, and Both do either, so that a small room fits on one router. Can't be changed.
   */
  role: 'Producer' | 'Consumer' | 'Both';
  /**
   * How many media nodes the pool has.
   */
  replicas: number;
  /**
   * mediasoup workers on each node; each uses up to one CPU and one port.
   */
  workersPerNode: number;
  /**
   * What one worker may carry. Placement never goes over it.
   */
  capacity: {
    /**
     * Most consumers on one worker.
     */
    consumersPerWorker: number;
    /**
     * Most producers on one worker.
     */
    producersPerWorker: number;
    /**
     * Most routers, that is rooms, on one worker.
     */
    routersPerWorker: number;
  };
  /**
   * How clients' media reaches the nodes.
   */
  network: {
    /**
     * HostPort opens the pod's ports on its Kubernetes node, HostNetwork runs the pod in the node's network, and PodIP uses the pod's own address, for networks where clients reach it.
     */
    mode: 'HostPort' | 'HostNetwork' | 'PodIP';
    /**
     * Ports from which each node gets a block of its own, one UDP and TCP port for each worker.
     */
    portRange: {
      /**
       * First port.
       */
      start: number;
      /**
       * Last port.
       */
      end: number;
    };
    /**
     * Address that clients are given instead of the node's external (else internal) one: an IP address or a host name.
     */
    announcedAddress?: string;
  };
  /**
   * How a node is emptied before it is removed.
   */
  drain: {
    /**
     * How long a draining node may keep its peers, in seconds; then it is removed with them.
     */
    timeoutSeconds: number;
  };
  /**
   * Which rooms may use this pool.
   */
  rooms: {
    /**
     * Whether the signaling service may make a MediaRoom when the first peer joins an unknown room.
     */
    createOnJoin: boolean;
  };
}

/**
 * The pool as the operator last saw it.
 */
export interface MediaWorkerStatus {
  /**
   * Generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * Nodes that exist, those that start or drain included.
   */
  replicas?: number;
  /**
   * Nodes that answer and take rooms.
   */
  readyReplicas?: number;
  /**
   * Label selector of the pool's pods, for the scale subresource.
   */
  selector?: string;
  /**
   * Rooms with a router on a node of this pool.
   */
  rooms?: number;
  /**
   * Peers bound to nodes of this pool.
   */
  peers?: number;
  /**
   * Load of the ready nodes in percent of their capacity; the fullest resource counts.
   */
  loadPercent?: number;
  /**
   * The nodes, one for each pod.
   *
   * Items: One media node.
   */
  nodes?: {
    /**
     * Name of the node's pod.
     */
    podName: string;
    /**
     * Id of the running process, new at every start.
     */
    instanceId?: string;
    /**
     * Where the node's API is reached from inside.
     */
    url?: string;
    /**
     * Pending until the node first answers, Ready when it takes rooms, Draining when it takes no more, Unreachable when it missed several polls, Dead when it is given up.
     */
    state: 'Pending' | 'Ready' | 'Draining' | 'Unreachable' | 'Dead';
    /**
     * Rooms with a router on this node.
     */
    rooms?: number;
    /**
     * Peers bound to this node.
     */
    peers?: number;
    /**
     * Consumers on this node.
     */
    consumers?: number;
    /**
     * CPU use of the busiest worker, in percent of one CPU.
     */
    cpuPercent?: number;
  }[];
  /**
   * What is true of this object now, one entry for each type.
   *
   * Items: One fact with its reason.
   */
  conditions?: {
    /**
     * Name of the fact, in CamelCase.
     */
    type: string;
    /**
     * Whether it holds.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * Generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * When the status last flipped.
     */
    lastTransitionTime: string;
    /**
     * Cause of the last flip, one CamelCase word.
     */
    reason: string;
    /**
     * What a person should know about it.
     */
    message: string;
  }[];
}
