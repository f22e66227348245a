import { describe, expect, it } from '@jest/globals';

import { KeyedMutex } from './keyed-mutex.ts';

describe('KeyedMutex', () => {
  it('runs what shares a key one after another, in the order of asking', async () => {
    const mutex = new KeyedMutex();
    const log: string[] = [];
    const work = (name: string, keys: string[]) =>
      mutex.runAll(keys, async () => {
        log.push(`${name} begins`);
        await Promise.resolve();
        await Promise.resolve();
        log.push(`${name} ends`);
      });
    await Promise.all([work('a', ['x', 'y']), work('b', ['y', 'x']), work('c', ['x', 'x'])]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('lets other keys go on', async () => {
    const mutex = new KeyedMutex();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const held = mutex.runAll(['x'], () => promise);
    await expect(mutex.runAll(['y'], () => Promise.resolve('done'))).resolves.toBe('done');
    resolve(undefined);
    await held;
  });

  it('gives the key back after a failure', async () => {
    const mutex = new KeyedMutex();
    await expect(mutex.runAll(['x'], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(mutex.runAll(['x'], () => Promise.resolve('done'))).resolves.toBe('done');
  });
});
