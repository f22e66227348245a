import { describe, expect, it } from '@jest/globals';

import { formatFrame, parseFrame, type Frame } from './frames.ts';

describe('formatFrame', () => {
  const cases: [title: string, frame: Frame, want: unknown][] = [
    [
      'writes a request',
      { type: 'request', id: 7, method: 'join', data: { displayName: 'Ada' } },
      { request: true, id: 7, method: 'join', data: { displayName: 'Ada' } },
    ],
    [
      'writes empty data where a request has none',
      { type: 'request', id: 1, method: 'getRouterRtpCapabilities', data: undefined },
      { request: true, id: 1, method: 'getRouterRtpCapabilities', data: {} },
    ],
    [
      'writes an ok response',
      { type: 'response', id: 3, ok: true, data: undefined },
      { response: true, id: 3, ok: true, data: {} },
    ],
    [
      'writes an error response without ok',
      { type: 'response', id: 3, ok: false, errorCode: 500, errorReason: 'no transport' },
      { response: true, id: 3, errorCode: 500, errorReason: 'no transport' },
    ],
    [
      'writes a notification',
      { type: 'notification', method: 'pauseProducer', data: { producerId: 'p' } },
      { notification: true, method: 'pauseProducer', data: { producerId: 'p' } },
    ],
  ];
  it.each(cases)('%s', (_title, frame, want) => {
    expect(JSON.parse(formatFrame(frame))).toEqual(want);
  });

  it.each(cases)('and reads back what it wrote: %s', (_title, frame) => {
    const data = 'data' in frame ? { data: frame.data ?? {} } : {};
    expect(parseFrame(formatFrame(frame))).toEqual({ ...frame, ...data });
  });
});

describe('parseFrame', () => {
  it.each([
    ['text that is no JSON', '{"request":'],
    ['JSON that is no object', '[1,2]'],
    ['null', 'null'],
    ['an object that is none of the frames', '{"hello":true}'],
    ['a request without an id', '{"request":true,"method":"newConsumer"}'],
    ['a request whose id is a text', '{"request":true,"id":"1","method":"newConsumer"}'],
    ['a request without a method', '{"request":true,"id":1}'],
    ['a response without an id', '{"response":true,"ok":true}'],
    ['a notification whose method is a number', '{"notification":true,"method":5}'],
    ['bytes', new ArrayBuffer(4)],
  ])('ignores %s', (_title, text) => {
    expect(parseFrame(text)).toBeUndefined();
  });

  it('gives an error response without code and reason a code and a reason', () => {
    expect(parseFrame('{"response":true,"id":2}')).toEqual({
      type: 'response',
      id: 2,
      ok: false,
      errorCode: 500,
      errorReason: 'no reason given',
    });
  });
});
