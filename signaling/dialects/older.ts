import type { PeerInfo, PeerMessage, PeerMethod, PeerResponse } from '../../common/wire/peer.ts';
import { sameWords } from './current.ts';
import type { AnyResponse, ClientMessage, Dialect } from './dialect.ts';

const peerOf = ({ peerId, displayName, device }: PeerInfo) => ({ id: peerId, displayName, device });

type Answers = {
  [M in PeerMethod]?: (response: PeerResponse<M>) => unknown;
};

/** The answers that the older dialect words in another way: bare objects, and `id` for the id of what was made. */
const answers: Answers = {
  getRouterRtpCapabilities: ({ routerRtpCapabilities }) => routerRtpCapabilities,
  createWebRtcTransport: ({ transportId, ...rest }) => ({ id: transportId, ...rest }),
  join: ({ peers }) => ({ peers: peers.map(peerOf) }),
  restartIce: ({ iceParameters }) => iceParameters,
  produce: ({ producerId }) => ({ id: producerId }),
  produceData: ({ dataProducerId }) => ({ id: dataProducerId }),
  getTransportStats: ({ stats }) => stats,
  getProducerStats: ({ stats }) => stats,
  getConsumerStats: ({ stats }) => stats,
  getDataProducerStats: ({ stats }) => stats,
  getDataConsumerStats: ({ stats }) => stats,
};

const request = (method: string, data: unknown): ClientMessage => ({
  kind: 'request',
  method,
  data,
});
const notification = (method: string, data: unknown): ClientMessage => ({
  kind: 'notification',
  method,
  data,
});

function message(model: PeerMessage): ClientMessage | undefined {
  switch (model.method) {
    case 'newConsumer': {
      const { consumerId, ...rest } = model.data;
      return request(model.method, { id: consumerId, ...rest });
    }
    case 'newDataConsumer': {
      const { dataConsumerId, peerId = null, ...rest } = model.data;
      return request(model.method, { id: dataConsumerId, peerId, ...rest });
    }
    case 'newPeer':
      return notification(model.method, peerOf(model.data.peer));
    case 'activeSpeaker':
      return notification(model.method, {
        peerId: model.data.peerId ?? null,
        ...(model.data.volume === undefined ? {} : { volume: model.data.volume }),
      });
    case 'consumerLayersChanged': {
      // Those apps read the two numbers beside the id, and null for "none".
      const { layers } = model.data;
      return notification(model.method, {
        ...model.data,
        spatialLayer: layers?.spatialLayer ?? null,
        temporalLayer: layers?.temporalLayer ?? null,
      });
    }
    case 'speakingPeers':
      // It came with the current dialect.
      return undefined;
    case 'peerClosed':
    case 'peerDisplayNameChanged':
    case 'producerScore':
    case 'producerMuted':
    case 'producerClosed':
    case 'consumerPaused':
    case 'consumerResumed':
    case 'consumerClosed':
    case 'consumerScore':
    case 'dataConsumerClosed':
      return sameWords(model);
  }
}

/** The dialect of the demo's apps before the current one, and of the clients that were made after them. */
export const olderDialect: Dialect = {
  name: 'older',
  answer: (method, response) => {
    // The table ties each method to its own response; the compiler can't follow the pair through the look-up.
    const reword = answers[method] as ((response: AnyResponse) => unknown) | undefined;
    return reword ? reword(response) : response;
  },
  message,
};
