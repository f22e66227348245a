import { describe, expect, it } from '@jest/globals';

import type { Extensions } from '../sessions/extensions.ts';
import { toModel } from './client-messages.ts';

const none: Extensions = new Set();
const both: Extensions = new Set(['move', 'resume']);
const id = '5c1f7d4e-90a2-4d8e-9f2d-0c9b4f1f7a11';

/** Client message → platform's request. */
const forwarded: [string, unknown, string, unknown][] = [
  ['getRouterRtpCapabilities', undefined, 'getRouterRtpCapabilities', {}],
  [
    'createWebRtcTransport',
    { forceTcp: true, appData: { direction: 'producer' } },
    'createWebRtcTransport',
    { direction: 'producer', forceTcp: true },
  ],
  [
    'createWebRtcTransport',
    { appData: { direction: 'consumer' }, sctpCapabilities: { numStreams: {} } },
    'createWebRtcTransport',
    { direction: 'consumer', forceTcp: false },
  ],
  [
    'createWebRtcTransport',
    { forceTcp: false, producing: true, consuming: false, sctpCapabilities: {} },
    'createWebRtcTransport',
    { direction: 'producer', forceTcp: false },
  ],
  [
    'createWebRtcTransport',
    { producing: false, consuming: true },
    'createWebRtcTransport',
    { direction: 'consumer', forceTcp: false },
  ],
  [
    'connectWebRtcTransport',
    { transportId: id, dtlsParameters: {} },
    'connectWebRtcTransport',
    { transportId: id, dtlsParameters: {} },
  ],
  [
    'join',
    { displayName: 'Ann', device: {}, rtpCapabilities: {}, sctpCapabilities: {} },
    'join',
    { displayName: 'Ann', device: {}, rtpCapabilities: {} },
  ],
  ['restartIce', { transportId: id }, 'restartIce', { transportId: id }],
  [
    'produce',
    { transportId: id, kind: 'audio', rtpParameters: {}, appData: { source: 'audio' } },
    'produce',
    { transportId: id, kind: 'audio', rtpParameters: {}, appData: { source: 'audio' } },
  ],
  [
    'produceData',
    { transportId: id, sctpStreamParameters: {}, label: 'chat', protocol: '', appData: {} },
    'produceData',
    { transportId: id, sctpStreamParameters: {}, label: 'chat', protocol: '', appData: {} },
  ],
  ['closeProducer', { producerId: id }, 'closeProducer', { producerId: id }],
  ['pauseProducer', { producerId: id }, 'pauseProducer', { producerId: id }],
  ['resumeProducer', { producerId: id }, 'resumeProducer', { producerId: id }],
  ['pauseConsumer', { consumerId: id }, 'pauseConsumers', { consumerIds: [id] }],
  ['resumeConsumer', { consumerId: id }, 'resumeConsumers', { consumerIds: [id] }],
  ['pauseConsumers', { consumerIds: [id] }, 'pauseConsumers', { consumerIds: [id] }],
  ['resumeConsumers', { consumerIds: [id] }, 'resumeConsumers', { consumerIds: [id] }],
  ['requestConsumerKeyFrame', { consumerId: id }, 'requestConsumerKeyFrame', { consumerId: id }],
  [
    'setConsumerPreferredLayers',
    { consumerId: id, spatialLayer: 1, temporalLayer: 2 },
    'setConsumerPreferredLayers',
    { consumerId: id, spatialLayer: 1, temporalLayer: 2 },
  ],
  [
    'setConsumerPriority',
    { consumerId: id, priority: 2 },
    'setConsumerPriority',
    { consumerId: id, priority: 2 },
  ],
  ['changeDisplayName', { displayName: 'Bob' }, 'changeDisplayName', { displayName: 'Bob' }],
  ['getTransportStats', { transportId: id }, 'getTransportStats', { transportId: id }],
  ['getProducerStats', { producerId: id }, 'getProducerStats', { producerId: id }],
  ['getConsumerStats', { consumerId: id }, 'getConsumerStats', { consumerId: id }],
  ['getDataProducerStats', { dataProducerId: id }, 'getDataProducerStats', { dataProducerId: id }],
  ['getDataConsumerStats', { dataConsumerId: id }, 'getDataConsumerStats', { dataConsumerId: id }],
];

describe('toModel', () => {
  it.each(forwarded)('words %s %j as %s', (method, data, wantMethod, wantData) => {
    expect(toModel(method, data, none)).toEqual({
      kind: 'forward',
      method: wantMethod,
      data: wantData,
    });
  });

  it('answers getRtcStatsUrl without a media node', () => {
    expect(toModel('getRtcStatsUrl', undefined, none)).toEqual({ kind: 'answer', data: {} });
  });

  it.each(['applyNetworkThrottle', 'stopNetworkThrottle'])('refuses %s', (method) => {
    expect(() => toModel(method, {}, none)).toThrow('does not throttle');
  });

  it('refuses a transport without a side, naming the field', () => {
    expect(() => toModel('createWebRtcTransport', { forceTcp: false }, none)).toThrow(
      'appData.direction',
    );
  });

  it.each(['mutePeer', 'createPlainTransport', 'consume', '__proto__', 'constructor', 'toString'])(
    'does not know %s',
    (method) => {
      expect(toModel(method, {}, none)).toBeUndefined();
    },
  );

  it.each(['leave', 'resumeSession', 'closeTransport'])(
    'knows %s of clients with it alone',
    (method) => {
      expect(toModel(method, {}, none)).toBeUndefined();
      expect(toModel(method, { transportId: id }, both)).toEqual({
        kind: 'session',
        method,
        data: { transportId: id },
      });
    },
  );

  it('lets only clients that can move name the transport that a new one replaces', () => {
    const data = { appData: { direction: 'producer' }, replaces: id };
    expect(toModel('createWebRtcTransport', data, none)).not.toHaveProperty('replaces');
    expect(toModel('createWebRtcTransport', data, both)).toMatchObject({
      data: { direction: 'producer', forceTcp: false },
      replaces: id,
    });
  });

  it.each([null, 7, 'text', [1]])('takes data %j as no fields', (data) => {
    expect(toModel('closeProducer', data, none)).toMatchObject({ data: {} });
  });
});
