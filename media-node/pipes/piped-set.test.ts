import { describe, expect, it } from '@jest/globals';

import type { DataSource } from '../mediasoup/objects.ts';
import { PipedSet } from './piped-set.ts';

const source = (id: string): DataSource => ({ id, users: 0 }) as DataSource;

describe('what a pipe has brought', () => {
  it('leaves no failure unhandled when its caller waits for another batch first', async () => {
    const set = new PipedSet(new Map<string, DataSource>());
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    try {
      const slow = Promise.withResolvers<undefined>();
      const first = set.ensure(['a'], async () => {
        await slow.promise;
        set.add(source('a'));
      });
      const second = set.ensure(['a', 'b'], () => Promise.reject(new Error('no b')));
      const refused = expect(second).rejects.toThrow('no b');
      // Node looks for unhandled rejections once the microtasks are done.
      await new Promise((resolve) => setImmediate(resolve));
      slow.resolve(undefined);
      await expect(first).resolves.toEqual(['a']);
      await refused;
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });

  it('counts what was just asked for as used', async () => {
    const set = new PipedSet(new Map<string, DataSource>());
    set.add(source('a'));
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(set.idle(50)).toHaveLength(1);
    await set.ensure(['a'], () => Promise.resolve());
    expect(set.idle(50)).toEqual([]);
  });
});
