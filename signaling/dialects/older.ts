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

type Messages = {
  [M in PeerMessage['method']]?: (
    data: Extract<PeerMessage, { method: M }>['data'],
  ) => ClientMessage | undefined;
};

/** The messages that the older dialect words in another way, or does not have. */
const messages: Messages = {
  newConsumer: ({ consumerId, ...rest }) => request('newConsumer', { id: consumerId, ...rest }),
  newDataConsumer: ({ dataConsumerId, peerId = null, ...rest }) =>
    request('newDataConsumer', { id: dataConsumerId, peerId, ...rest }),
  newPeer: ({ peer }) => notification('newPeer', peerOf(peer)),
  activeSpeaker: ({ peerId = null, volume }) =>
    notification('activeSpeaker', { peerId, ...(volume === undefined ? {} : { volume }) }),
  // Those apps read the two numbers beside the id, and null for "none".
  consumerLayersChanged: (data) =>
    notification('consumerLayersChanged', {
      ...data,
      spatialLayer: data.layers?.spatialLayer ?? null,
      temporalLayer: data.layers?.temporalLayer ?? null,
    }),
  // It came with the current dialect.
  speakingPeers: () => undefined,
};

/** The dialect of the demo's apps before the current one, and of the clients that were made after them. */
export const olderDialect: Dialect = {
  name: 'older',
  answer: (method, response) => {
    // The table ties each method to its own response; the compiler can't follow the pair through the look-up.
    const reword = answers[method] as ((response: AnyResponse) => unknown) | undefined;
    return reword ? reword(response) : response;
  },
  message: (model) => {
    // As above: the method ties the data to its entry.
    const reword = messages[model.method] as
      ((data: PeerMessage['data']) => ClientMessage | undefined) | undefined;
    return reword ? reword(model.data) : sameWords(model);
  },
};
