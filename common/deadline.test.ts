import { describe, expect, it, jest } from '@jest/globals';

import { withDeadline } from './deadline.ts';

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });

describe('withDeadline', () => {
  it('gives what the work gives', async () => {
    expect(await withDeadline(1000, () => Promise.resolve(5))).toBe(5);
    await expect(withDeadline(1000, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('aborts work that takes too long', async () => {
    await expect(withDeadline(1, untilAborted)).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('aborts work for the reason of an outer signal, also of one that is aborted already', async () => {
    const outer = new AbortController();
    const work = withDeadline(10_000, untilAborted, outer.signal);
    outer.abort(new Error('stopped'));
    await expect(work).rejects.toThrow('stopped');
    await expect(withDeadline(10_000, untilAborted, outer.signal)).rejects.toThrow('stopped');
  });

  it('leaves neither a timer nor a listener behind', async () => {
    const outer = new AbortController();
    const added = jest.spyOn(outer.signal, 'addEventListener');
    const removed = jest.spyOn(outer.signal, 'removeEventListener');
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await withDeadline(
      60_000,
      () => {
        expect(timers()).toBe(before + 1);
        return Promise.resolve();
      },
      outer.signal,
    );
    expect(timers()).toBe(before);
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed.mock.calls[0]?.[1]).toBe(added.mock.calls[0]?.[1]);
  });
});
