import { Model, snakeCaseMappers } from 'objection';

import type { NodeRole } from '../wire/media-node.ts';
import type { Device, Direction, Grants } from '../wire/peer.ts';
import type { MediaKind, RtpCapabilities } from '../wire/rtp.ts';

/**
 * The session tables as Objection models. Rows have camel case properties; queries name the columns as they are
 * (`where('instance_id', …)`).
 */
class Row extends Model {
  static override columnNameMappers = snakeCaseMappers();
  static override useLimitInFirst = true;
}

const belongsTo = (model: () => typeof Model, from: string, to: string) => ({
  relation: Model.BelongsToOneRelation,
  modelClass: model as unknown as typeof Model,
  join: { from, to },
});

export class SignalingReplicaModel extends Row {
  static override tableName = 'signaling_replica';
  declare id: string;
  declare url: string;
  declare lastSeenAt: Date;
}

export class MediaWorkerModel extends Row {
  static override tableName = 'media_worker';
  static override idColumn = 'instance_id';
  declare instanceId: string;
  declare podName: string;
  declare pool: string;
  declare role: NodeRole;
  declare apiUrl: string;
  declare workerCount: number;
  declare version: string;
  declare startedAt: Date;
}

export class MediaRoomModel extends Row {
  static override tableName = 'media_room';
  declare id: string;
  declare createdAt: Date;
}

export class MediaRouterModel extends Row {
  static override tableName = 'media_router';
  static override relationMappings = () => ({
    worker: belongsTo(
      () => MediaWorkerModel,
      'media_router.instance_id',
      'media_worker.instance_id',
    ),
    room: belongsTo(() => MediaRoomModel, 'media_router.room_id', 'media_room.id'),
  });
  static override jsonAttributes = ['rtpCapabilities'];
  declare id: string;
  declare roomId: string;
  declare instanceId: string;
  declare workerIndex: number;
  declare role: NodeRole;
  declare generation: number;
  declare rtpCapabilities: RtpCapabilities;
  declare worker?: MediaWorkerModel;
  declare room?: MediaRoomModel;
}

export type PeerKind = 'WebSocket' | 'Broadcaster';

export class MediaPeerModel extends Row {
  static override tableName = 'media_peer';
  static override relationMappings = () => ({
    replica: belongsTo(
      () => SignalingReplicaModel,
      'media_peer.replica_id',
      'signaling_replica.id',
    ),
    producerRouter: belongsTo(
      () => MediaRouterModel,
      'media_peer.producer_router_id',
      'media_router.id',
    ),
    consumerRouter: belongsTo(
      () => MediaRouterModel,
      'media_peer.consumer_router_id',
      'media_router.id',
    ),
  });
  static override jsonAttributes = ['device', 'grants', 'rtpCapabilities', 'extensions'];
  declare id: string;
  declare roomId: string;
  declare peerId: string;
  declare kind: PeerKind;
  declare replicaId: string;
  /** Null: that side is bound to no router, since the one that it had is gone. */
  declare producerRouterId: string | null;
  declare consumerRouterId: string | null;
  declare displayName: string;
  declare device: Device;
  declare remoteAddress: string;
  declare grants: Grants;
  declare rtpCapabilities: RtpCapabilities | null;
  declare joinedAt: Date | null;
  /** SHA-256 of the token that continues the session. */
  declare resumeHash: string | null;
  /** Since when the peer has no socket. */
  declare detachedAt: Date | null;
  /** Additions to the protocol that the client knows. */
  declare extensions: string[];
  /** Grows whenever another socket or replica takes the row over. */
  declare ownerEpoch: number;
  declare createdAt: Date;
  declare replica?: SignalingReplicaModel;
  declare producerRouter?: MediaRouterModel;
  declare consumerRouter?: MediaRouterModel;
}

export class MediaTransportModel extends Row {
  static override tableName = 'media_transport';
  static override relationMappings = () => ({
    worker: belongsTo(
      () => MediaWorkerModel,
      'media_transport.instance_id',
      'media_worker.instance_id',
    ),
    router: belongsTo(() => MediaRouterModel, 'media_transport.router_id', 'media_router.id'),
    peer: belongsTo(() => MediaPeerModel, 'media_transport.media_peer_id', 'media_peer.id'),
  });
  declare id: string;
  declare mediaPeerId: string;
  declare routerId: string;
  declare instanceId: string;
  declare kind: 'webrtc' | 'plain';
  declare direction: Direction;
  declare createdAt: Date;
  declare worker?: MediaWorkerModel;
  declare router?: MediaRouterModel;
  declare peer?: MediaPeerModel;
}

export class MediaPipeTransportModel extends Row {
  static override tableName = 'media_pipe_transport';
  declare id: string;
  declare routerId: string;
  declare instanceId: string;
  declare remoteRouterId: string;
  declare pipeEnd: 'source' | 'destination';
}

export class MediaProducerModel extends Row {
  static override tableName = 'media_producer';
  static override relationMappings = () => ({
    peer: belongsTo(() => MediaPeerModel, 'media_producer.media_peer_id', 'media_peer.id'),
    router: belongsTo(() => MediaRouterModel, 'media_producer.router_id', 'media_router.id'),
  });
  static override jsonAttributes = ['appData'];
  declare id: string;
  declare transportId: string;
  declare mediaPeerId: string;
  declare routerId: string;
  declare kind: MediaKind;
  declare appData: Record<string, unknown>;
  /** The producer that this one took the place of. */
  declare replaces: string | null;
  declare peer?: MediaPeerModel;
  declare router?: MediaRouterModel;
}

export class MediaDataProducerModel extends Row {
  static override tableName = 'media_data_producer';
  static override relationMappings = () => ({
    peer: belongsTo(() => MediaPeerModel, 'media_data_producer.media_peer_id', 'media_peer.id'),
    router: belongsTo(() => MediaRouterModel, 'media_data_producer.router_id', 'media_router.id'),
  });
  static override jsonAttributes = ['appData'];
  declare id: string;
  declare transportId: string;
  declare mediaPeerId: string;
  declare routerId: string;
  declare label: string;
  declare protocol: string;
  declare appData: Record<string, unknown>;
  /** The producer that this one took the place of. */
  declare replaces: string | null;
  declare peer?: MediaPeerModel;
  declare router?: MediaRouterModel;
}
