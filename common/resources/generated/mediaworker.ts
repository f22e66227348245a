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
   * Container image of the nodes, such as example.com/kube-sfu:1.2.3. Left out, it is the one that the operator is configured with. A change rolls the nodes.
   */
  image?: string;
  /**
   * Compute resources of each node's container, as in a pod. A change rolls the nodes.
   */
  resources: {
    /**
     * What is set aside for a node, such as cpu and memory.
     */
    requests?: {
      [k: string]: number | string;
    };
    /**
     * What a node may use at most.
     */
    limits?: {
      [k: string]: number | string;
    };
  };
  /**
   * Overrides of the pods that the operator builds, merged into them as a strategic merge patch, for example nodeSelector, tolerations, affinity, priorityClassName, volumes or more containers. The nodes' own container is media-node. A change rolls the nodes.
   */
  podTemplate: {
    /**
     * Labels and annotations to add.
     */
    metadata: {
      /**
       * Labels of each pod.
       */
      labels?: {
        [k: string]: string;
      };
      /**
       * Annotations of each pod.
       */
      annotations?: {
        [k: string]: string;
      };
    };
    /**
     * Part of a PodSpec. Its fields are checked when a pod is made from it; the condition PodsCreated then names what is wrong.
     */
    spec: {
      /**
       * Not to be set here; spec.network.mode decides it.
       */
      hostNetwork?: boolean;
      /**
       * Not to be set here.
       */
      restartPolicy?: string;
      /**
       * Not to be set here; the operator's configuration decides it.
       */
      terminationGracePeriodSeconds?: number;
      /**
       * Not to be set here.
       */
      nodeName?: string;
      [k: string]: unknown;
    };
  };
  /**
   * How nodes are replaced when the pool's shape has changed.
   */
  rollout: {
    /**
     * How many nodes more than wanted may exist meanwhile. A new node comes first and an old one drains then, where the ports suffice.
     */
    maxSurge: number;
  };
  /**
   * Lets the operator set replicas by load. Left out, replicas is left alone; don't use it together with a HorizontalPodAutoscaler.
   */
  autoscaling?: {
    /**
     * Fewest nodes.
     */
    minReplicas: number;
    /**
     * Most nodes.
     */
    maxReplicas: number;
    /**
     * Average number of consumers on each worker to aim at.
     */
    targetConsumersPerWorker?: number;
    /**
     * Average CPU use of the nodes' busiest workers to aim at, in percent of one CPU.
     */
    targetCPUPercent?: number;
    /**
     * How eagerly nodes are added.
     */
    scaleUp: {
      /**
       * The lowest number of nodes wanted within this time counts, in seconds.
       */
      stabilizationWindowSeconds: number;
    };
    /**
     * How eagerly nodes are removed.
     */
    scaleDown: {
      /**
       * The highest number of nodes wanted within this time counts, in seconds.
       */
      stabilizationWindowSeconds: number;
    };
  };
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
     * HostPort opens the pod's ports on its Kubernetes node, HostNetwork runs the pod in the node's network, and PodIP uses the pod's own address, for networks where clients reach it. The first two need a namespace without a Pod Security level that forbids them (privileged). With HostNetwork, pods of one machine share the ports of their pipes, rtc.pipe in their configuration, which portRange must not overlap.
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
     * How long a draining node may keep its peers, in seconds. Those that are left then connect anew, and the node is removed.
     */
    timeoutSeconds: number;
    /**
     * How many rooms of a draining node move at a time. Each gets a router elsewhere before its peers leave; others follow as these are done, and all of them have begun after half of timeoutSeconds.
     */
    maxConcurrentRooms: number;
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
   * Nodes that have the shape of the present spec.
   */
  updatedReplicas?: number;
  /**
   * Nodes that drain; what is left on each is in nodes.
   */
  drainingReplicas?: number;
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
   * Addresses that clients are given for media, each once.
   *
   * Items: An IP address or a host name.
   */
  addresses?: string[];
  /**
   * Versions of kube-sfu that the nodes run, each once.
   *
   * Items: A version.
   */
  versions?: string[];
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
     * Address that clients are given for media.
     */
    address?: string;
    /**
     * Ports for media, first-last, each UDP and TCP.
     */
    ports?: string;
    /**
     * Name of the Kubernetes node that the pod runs on.
     */
    hostName?: string;
    /**
     * Version of kube-sfu that the node runs.
     */
    version?: string;
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
    /**
     * Since when the node drains; rooms and peers are what is left on it.
     */
    drainStartedAt?: string;
    /**
     * When its peers must have moved.
     */
    drainDeadline?: string;
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
