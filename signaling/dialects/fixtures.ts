import type { PeerMessage, PeerMethod } from '../../common/wire/peer.ts';

const id = (n: number): string => `5c1f7d4e-90a2-4d8e-9f2d-0c9b4f1f7a1${n}`;
const peer = { peerId: 'ann', displayName: 'Ann', device: { name: 'test' }, remoteAddress: '::1' };

/** One message of each kind. */
export const sampleMessages: PeerMessage[] = [
  {
    method: 'newConsumer',
    data: {
      peerId: 'ann',
      transportId: id(1),
      consumerId: id(2),
      producerId: id(3),
      kind: 'video',
      rtpParameters: { mid: '0' },
      type: 'simulcast',
      producerPaused: false,
      consumerScore: { score: 10 },
      appData: { peerId: 'ann', source: 'video' },
    },
  },
  {
    method: 'newDataConsumer',
    data: {
      transportId: id(1),
      dataConsumerId: id(2),
      dataProducerId: id(3),
      label: 'chat',
      protocol: '',
      appData: { channel: 'chat' },
    },
  },
  { method: 'newPeer', data: { peer } },
  { method: 'peerClosed', data: { peerId: 'ann' } },
  {
    method: 'peerDisplayNameChanged',
    data: { peerId: 'ann', displayName: 'Anna', oldDisplayName: 'Ann' },
  },
  {
    method: 'producerScore',
    data: { producerId: id(3), score: [{ encodingIdx: 0, ssrc: 1, score: 10 }] },
  },
  { method: 'producerMuted', data: { producerId: id(3) } },
  { method: 'producerClosed', data: { producerId: id(3) } },
  { method: 'consumerPaused', data: { consumerId: id(2) } },
  { method: 'consumerResumed', data: { consumerId: id(2) } },
  { method: 'consumerClosed', data: { consumerId: id(2) } },
  { method: 'consumerScore', data: { consumerId: id(2), score: { score: 9 } } },
  {
    method: 'consumerLayersChanged',
    data: { consumerId: id(2), layers: { spatialLayer: 1, temporalLayer: 2 } },
  },
  { method: 'dataConsumerClosed', data: { dataConsumerId: id(2) } },
  { method: 'speakingPeers', data: { peerVolumes: [{ peerId: 'ann', volume: -30 }] } },
  { method: 'activeSpeaker', data: { peerId: 'ann', volume: -30 } },
  { method: 'session', data: { resumeToken: 'token', resumeTimeoutMs: 30_000 } },
  {
    method: 'moveTransport',
    data: { transportId: id(1), direction: 'consumer', reason: 'NodeDraining', overlapMs: 3_000 },
  },
];

/** A response of each method that has one. */
export const sampleResponses: [PeerMethod, Record<string, unknown>][] = [
  ['getRouterRtpCapabilities', { routerRtpCapabilities: { codecs: [], headerExtensions: [] } }],
  [
    'createWebRtcTransport',
    {
      transportId: id(1),
      iceParameters: { usernameFragment: 'u' },
      iceCandidates: [],
      dtlsParameters: { role: 'auto' },
      sctpParameters: { port: 5000 },
    },
  ],
  ['connectWebRtcTransport', {}],
  ['restartIce', { iceParameters: { usernameFragment: 'v' } }],
  ['join', { peers: [peer] }],
  ['produce', { producerId: id(3) }],
  ['produceData', { dataProducerId: id(3) }],
  ['getTransportStats', { stats: [{ type: 't' }] }],
  ['getProducerStats', { stats: [{ type: 't' }] }],
  ['getConsumerStats', { stats: [{ type: 't' }] }],
  ['getDataProducerStats', { stats: [{ type: 't' }] }],
  ['getDataConsumerStats', { stats: [{ type: 't' }] }],
  ['pauseConsumers', {}],
];

export const sampleId = id;
