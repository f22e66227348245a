import { describe, expect, it } from '@jest/globals';

import { peerMethods, type PeerMessage, type PeerMethod } from '../../common/wire/peer.ts';
import { sampleId, sampleMessages, sampleResponses } from './fixtures.ts';
import { olderDialect } from './older.ts';

const stats = [{ type: 't' }];
const wantAnswers: Partial<Record<PeerMethod, unknown>> = {
  getRouterRtpCapabilities: { codecs: [], headerExtensions: [] },
  createWebRtcTransport: {
    id: sampleId(1),
    iceParameters: { usernameFragment: 'u' },
    iceCandidates: [],
    dtlsParameters: { role: 'auto' },
    sctpParameters: { port: 5000 },
  },
  restartIce: { usernameFragment: 'v' },
  join: { peers: [{ id: 'ann', displayName: 'Ann', device: { name: 'test' } }] },
  produce: { id: sampleId(3) },
  produceData: { id: sampleId(3) },
  getTransportStats: stats,
  getProducerStats: stats,
  getConsumerStats: stats,
  getDataProducerStats: stats,
  getDataConsumerStats: stats,
};

const wantMessages: Partial<Record<PeerMessage['method'], unknown>> = {
  newConsumer: {
    id: sampleId(2),
    peerId: 'ann',
    transportId: sampleId(1),
    producerId: sampleId(3),
    kind: 'video',
    rtpParameters: { mid: '0' },
    type: 'simulcast',
    producerPaused: false,
    consumerScore: { score: 10 },
    appData: { peerId: 'ann', source: 'video' },
  },
  newDataConsumer: {
    id: sampleId(2),
    peerId: null,
    transportId: sampleId(1),
    dataProducerId: sampleId(3),
    label: 'chat',
    protocol: '',
    appData: { channel: 'chat' },
  },
  newPeer: { id: 'ann', displayName: 'Ann', device: { name: 'test' } },
  consumerLayersChanged: {
    consumerId: sampleId(2),
    layers: { spatialLayer: 1, temporalLayer: 2 },
    spatialLayer: 1,
    temporalLayer: 2,
  },
};

describe('the older dialect', () => {
  it.each(sampleResponses)('answers %s with bare objects and ids', (method, response) => {
    const parsed = peerMethods[method].response.parse(response);
    expect(olderDialect.answer(method, parsed)).toEqual(wantAnswers[method] ?? response);
  });

  it.each(
    sampleMessages
      .filter(({ method }) => method !== 'speakingPeers')
      .map((message) => [message.method, message] as const),
  )('words %s', (method, message) => {
    expect(olderDialect.message(message)).toEqual({
      kind: ['newConsumer', 'newDataConsumer'].includes(method) ? 'request' : 'notification',
      method,
      data: wantMessages[method] ?? message.data,
    });
  });

  it('has no speakingPeers', () => {
    const message = sampleMessages.find(({ method }) => method === 'speakingPeers')!;
    expect(olderDialect.message(message)).toBeUndefined();
  });

  it('says null when nobody speaks and when there are no layers', () => {
    expect(olderDialect.message({ method: 'activeSpeaker', data: {} })?.data).toEqual({
      peerId: null,
    });
    expect(
      olderDialect.message({
        method: 'consumerLayersChanged',
        data: { consumerId: sampleId(2) },
      })?.data,
    ).toEqual({ consumerId: sampleId(2), spatialLayer: null, temporalLayer: null });
  });
});
