import { describe, expect, it } from '@jest/globals';

import { resolveOptions, type ConnectOptions } from './options.ts';
import { defaultTiming, resolveTiming } from './timing.ts';

const usual = { url: 'wss://sfu.test', roomId: 'a room', peerId: 'p&1', displayName: 'Ada' };
const query = 'roomId=a+room&peerId=p%261&extensions=move%2Cresume';

describe('the options', () => {
  it.each<[string, Partial<Record<keyof ConnectOptions, unknown>>]>([
    ['url: "no address" is no address', { url: 'no address' }],
    ['url: "ftp://sfu.test": expected wss: or ws:', { url: 'ftp://sfu.test' }],
    ['url: expected at least one address', { url: [] }],
    ['roomId: expected a text that is not empty', { roomId: '' }],
    ['peerId: expected a text that is not empty', { peerId: undefined }],
    ['displayName: expected a text', { displayName: 5 }],
    ['audioTopN: expected a whole number of at least 1', { audioTopN: 0 }],
    ['timing.move.polMs: no such option', { timing: { move: { polMs: 1 } } }],
    ['timing.hiddenMs: expected a number of at least 0', { timing: { hiddenMs: -1 } }],
    ['timing.ice: expected an object', { timing: { ice: 3 } }],
  ])('are refused: %s', (message, change) => {
    const options = { ...usual, ...change } as unknown as ConnectOptions;
    expect(() => resolveOptions(options)).toThrow(message);
  });

  it('make the address, with the token to resume with', () => {
    const { address } = resolveOptions({ ...usual, token: 't.k' });
    expect(address(0, undefined)).toBe(`wss://sfu.test/?${query}&token=t.k`);
    expect(address(0, 'r')).toBe(`wss://sfu.test/?${query}&token=t.k&resume=r`);
  });

  it('take an address of the web for that of its WebSocket', () => {
    const { address } = resolveOptions({ ...usual, url: 'https://sfu.test/path?a=1' });
    expect(address(0, undefined)).toBe(`wss://sfu.test/path?a=1&${query}`);
  });

  it('retry on the same address first, and then on the next ones', () => {
    const { address } = resolveOptions({ ...usual, url: ['wss://a', 'wss://b'] });
    const hosts = [0, 1, 2, 3].map((attempt) => new URL(address(attempt, '') as string).host);
    expect(hosts).toEqual(['a', 'a', 'b', 'a']);
  });

  it('announce what the client understands, or less', () => {
    const { address } = resolveOptions({ ...usual, extensions: [] });
    expect(address(0, undefined)).not.toContain('extensions');
  });
});

describe('the timing', () => {
  it('is the default where nothing is said', () => {
    const timing = resolveTiming({ move: { pollMs: 10 } });
    expect(timing).toEqual({
      ...defaultTiming,
      move: { ...defaultTiming.move, pollMs: 10 },
    });
  });
});
