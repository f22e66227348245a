import { describe, expect, it } from '@jest/globals';

import { kilobitsPerSecond, summarizeTrack, summarizeTransport } from './stats.ts';

describe('summarizeTrack', () => {
  it('reads an incoming video', () => {
    const report = [
      { type: 'codec', mimeType: 'video/VP8' },
      {
        type: 'inbound-rtp',
        bytesReceived: 5000,
        packetsReceived: 40,
        packetsLost: 3,
        framesDecoded: 40,
        frameWidth: 640,
        frameHeight: 360,
        framesPerSecond: 20,
        jitter: 0.01,
      },
    ];
    expect(summarizeTrack(report)).toMatchObject({
      bytes: 5000,
      packetsReceived: 40,
      packetsLost: 3,
      framesDecoded: 40,
      frameWidth: 640,
      frameHeight: 360,
      framesPerSecond: 20,
      jitter: 0.01,
    });
  });

  it('adds up the layers of an outgoing video and takes the largest picture', () => {
    const report = [
      { type: 'outbound-rtp', rid: 'r0', bytesSent: 100, frameWidth: 320, frameHeight: 180 },
      {
        type: 'outbound-rtp',
        rid: 'r1',
        bytesSent: 900,
        frameWidth: 1280,
        frameHeight: 720,
        qualityLimitationReason: 'cpu',
      },
    ];
    expect(summarizeTrack(report)).toMatchObject({
      bytes: 1000,
      frameWidth: 1280,
      frameHeight: 720,
      limitedBy: 'cpu',
    });
  });

  it('is all zeros for an empty report', () => {
    const { limitedBy, ...numbers } = summarizeTrack([]);
    expect(limitedBy).toBe('');
    expect(new Set(Object.values(numbers))).toEqual(new Set([0]));
  });
});

describe('summarizeTransport', () => {
  it('takes the round trip of the pair in use', () => {
    const report = [
      { type: 'transport', bytesSent: 10, bytesReceived: 20 },
      { type: 'candidate-pair', nominated: false, currentRoundTripTime: 9 },
      { type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.02 },
    ];
    expect(summarizeTransport(report)).toEqual({
      bytesSent: 10,
      bytesReceived: 20,
      roundTripTime: 0.02,
    });
  });
});

describe('kilobitsPerSecond', () => {
  it('is the difference over the time', () => {
    expect(kilobitsPerSecond(1000, 3000, 2000)).toBe(8);
  });

  it('is zero where the counter started anew or no time passed', () => {
    expect(kilobitsPerSecond(3000, 10, 2000)).toBe(0);
    expect(kilobitsPerSecond(0, 10, 0)).toBe(0);
  });
});
