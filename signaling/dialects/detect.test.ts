import { describe, expect, it } from '@jest/globals';

import { detect, dialectOf, undetected, type Detection } from './detect.ts';

const after = (...messages: [string, unknown?][]): Detection =>
  messages.reduce((known, [method, data]) => detect(known, method, data), undetected);

const cases: [string, [string, unknown?][], Detection['name'], boolean][] = [
  ['knows nothing before the first message', [], undefined, false],
  ['takes getRtcStatsUrl for the current one', [['getRtcStatsUrl']], 'current', false],
  ['keeps it open after capabilities alone', [['getRouterRtpCapabilities']], undefined, false],
  [
    'settles on the current one by appData.direction',
    [
      ['getRouterRtpCapabilities'],
      ['createWebRtcTransport', { appData: { direction: 'consumer' } }],
    ],
    'current',
    true,
  ],
  [
    'settles on the older one by producing and consuming',
    [
      ['getRouterRtpCapabilities'],
      ['createWebRtcTransport', { producing: false, consuming: true }],
    ],
    'older',
    true,
  ],
  [
    'believes the transport more than getRtcStatsUrl',
    [['getRtcStatsUrl'], ['createWebRtcTransport', { producing: true, consuming: false }]],
    'older',
    true,
  ],
  [
    'stays with the first transport',
    [
      ['createWebRtcTransport', { appData: { direction: 'producer' } }],
      ['createWebRtcTransport', { producing: true }],
    ],
    'current',
    true,
  ],
  [
    'settles on the older one by a join with sctpCapabilities before any transport',
    [['join', { sctpCapabilities: {} }]],
    'older',
    true,
  ],
  ['is not misled by malformed data', [['createWebRtcTransport', 'text']], undefined, false],
];

describe('the dialect of a connection', () => {
  it.each(cases)('%s', (_name, messages, name, settled) => {
    expect(after(...messages)).toEqual({ name, settled });
  });

  it('answers the capabilities in both wordings while it is open', () => {
    const capabilities = { codecs: [], headerExtensions: [] };
    const answer = dialectOf(after(['getRouterRtpCapabilities'])).answer(
      'getRouterRtpCapabilities',
      { routerRtpCapabilities: capabilities },
    );
    expect(answer).toEqual({ ...capabilities, routerRtpCapabilities: capabilities });
  });

  it('answers the capabilities in the one wording once it is known', () => {
    const response = { routerRtpCapabilities: { codecs: [] } };
    expect(
      dialectOf(after(['getRtcStatsUrl'])).answer('getRouterRtpCapabilities', response),
    ).toEqual(response);
  });
});
