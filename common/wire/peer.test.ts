import { randomUUID } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { peerMethods } from './peer.ts';

const codec = { mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 100 };
const produce = (part: object) =>
  peerMethods.produce.request.safeParse({
    transportId: randomUUID(),
    kind: 'audio',
    rtpParameters: { codecs: [codec], encodings: [{ ssrc: 1 }] },
    ...part,
  });
const long = 'x'.repeat(5_000);
/** Which fields are refused. */
const refused = (part: object): string[] =>
  produce(part).error?.issues.map(({ path }) => path.join('.')) ?? [];

describe('what a peer may send for all others', () => {
  it('takes what the application says, up to 4 kB', () => {
    expect(refused({ appData: { source: 'audio', note: 'x'.repeat(4_000) } })).toEqual([]);
    expect(refused({ appData: { note: long } })).toEqual(['appData']);
    expect(refused({ appData: { note: 'ä'.repeat(2_100) } })).toEqual(['appData']);
    let deep: unknown = 1;
    for (let n = 0; n < 100_000; n++) deep = [deep];
    expect(refused({ appData: { deep } })).toEqual(['appData']);
    const data = { transportId: randomUUID(), appData: { note: long } };
    expect(peerMethods.produceData.request.safeParse(data).success).toBe(false);
  });

  it('bounds each text of the RTP parameters, and all of them together', () => {
    const withCodec = (part: object) =>
      refused({ rtpParameters: { codecs: [{ ...codec, ...part }] } })[0];
    expect(withCodec({ parameters: { useinbandfec: 1 } })).toBeUndefined();
    expect(withCodec({ mimeType: `audio/${long}` })).toBe('rtpParameters.codecs.0.mimeType');
    expect(withCodec({ parameters: { a: long } })).toBe('rtpParameters.codecs.0.parameters.a');
    expect(withCodec({ rtcpFeedback: [{ type: long }] })).toBe(
      'rtpParameters.codecs.0.rtcpFeedback.0.type',
    );
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`key${n}`, n]));
    expect(withCodec({ parameters: many })).toBe('rtpParameters');
    const extension = { uri: long, id: 1 };
    expect(refused({ rtpParameters: { codecs: [], headerExtensions: [extension] } })).toEqual([
      'rtpParameters.headerExtensions.0.uri',
    ]);
  });

  it('bounds the RTP capabilities', () => {
    const join = (parameters: object) =>
      peerMethods.join.request.safeParse({
        displayName: '',
        device: {},
        rtpCapabilities: {
          codecs: Array.from({ length: 100 }, () => ({
            kind: 'audio',
            mimeType: 'audio/opus',
            clockRate: 48_000,
            parameters,
          })),
        },
      }).success;
    expect(join({ useinbandfec: 1 })).toBe(true);
    expect(join({ a: 'x'.repeat(900) })).toBe(false);
  });
});
