// Generated from crds/kube-sfu.dev_mediarooms.yaml by "npm run generate". Do not edit.

/**
 * The room that is wanted.
 */
export interface MediaRoomSpec {
  /**
   * Codecs of the room's routers, the preferred first. Empty means the media nodes' own. Can't be changed, since a router keeps the codecs that it was made with.
   *
   * Items: One codec.
   */
  mediaCodecs: {
    /**
     * Kind of media.
     */
    kind: 'audio' | 'video';
    /**
     * MIME type, such as audio/opus or video/VP8.
     */
    mimeType: string;
    /**
     * Clock rate in hertz.
     */
    clockRate: number;
    /**
     * Number of audio channels.
     */
    channels?: number;
    /**
     * RTP payload type to use where it is free.
     */
    preferredPayloadType?: number;
    /**
     * Codec parameters, such as packetization-mode or profile-level-id.
     */
    parameters?: {
      [k: string]: number | string;
    };
    /**
     * RTCP feedback that the codec supports.
     *
     * Items: One kind of feedback.
     */
    rtcpFeedback?: {
      /**
       * Type, such as nack or transport-cc.
       */
      type: string;
      /**
       * Parameter of the type, such as pli.
       */
      parameter?: string;
    }[];
  }[];
  /**
   * Most peers in the room at a time. Lowering it closes nobody; it refuses new peers.
   */
  maxPeers: number;
  /**
   * Where what peers publish is received.
   */
  producers: {
    /**
     * Which pools may be used. Empty selects every pool of a fitting role.
     */
    selector: {
      /**
       * Labels that a MediaWorker must have, all of them.
       */
      matchLabels: {
        [k: string]: string;
      };
    };
    /**
     * How many routers the room has on this side, each on a node of its own where there are enough.
     */
    routers: number;
  };
  /**
   * From where peers are sent what they watch.
   */
  consumers: {
    /**
     * Which pools may be used. Empty selects every pool of a fitting role.
     */
    selector: {
      /**
       * Labels that a MediaWorker must have, all of them.
       */
      matchLabels: {
        [k: string]: string;
      };
    };
    /**
     * How many routers the room has on this side at least, each on a node of its own where there are enough.
     */
    routers: number;
    /**
     * How many routers the room may grow to on this side when those that it has fill up. Added ones go when they are empty.
     */
    maxRouters: number;
  };
  /**
   * What happens to the room when nobody is in it.
   */
  idlePolicy: {
    /**
     * Retain keeps the room, Delete deletes it.
     */
    action: 'Retain' | 'Delete';
    /**
     * How long the room must have been empty before it is deleted, in seconds.
     */
    afterSeconds: number;
  };
  /**
   * The room is deleted this long after its creation, with peers or without, in seconds. Left out, it has no such end.
   */
  ttlSeconds?: number;
}

/**
 * The room as the operator last saw it.
 */
export interface MediaRoomStatus {
  /**
   * Generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * Rises whenever routers are placed anew.
   */
  placementGeneration?: number;
  /**
   * Routers of both sides that peers may be bound to now.
   */
  routers?: number;
  /**
   * Names of the pods that the room's routers are on, those that drain left out.
   */
  nodes?: string[];
  /**
   * Names of the MediaWorkers that these pods belong to.
   */
  pools?: string[];
  /**
   * Which router of the room runs on which node.
   *
   * Items: One router of the room.
   */
  placements?: {
    /**
     * Id of the router.
     */
    routerId: string;
    /**
     * What the router does for the room; Both when one router does all.
     */
    role: 'Producer' | 'Consumer' | 'Both';
    /**
     * Name of the MediaWorker.
     */
    pool: string;
    /**
     * Name of the node's pod.
     */
    podName: string;
    /**
     * The node's process that the placement was decided for.
     */
    instanceId: string;
    /**
     * Where the node's API is reached from inside.
     */
    url: string;
    /**
     * Placement generation in which the router was placed here.
     */
    generation: number;
    /**
     * Pending until the router exists, Ready when peers may be bound to it, Draining when it takes no more and its peers are to move.
     */
    state: 'Pending' | 'Ready' | 'Draining';
    /**
     * When the peers of a draining router must have moved; those that are left then connect anew.
     */
    drainDeadline?: string;
  }[];
  /**
   * Peers in the room.
   */
  peers?: number;
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
