import { describe, expect, it } from '@jest/globals';

import { faultKinds } from './kinds.ts';
import { chaosOptions } from './options.ts';

describe('the variables of a chaos run', () => {
  it('have the documented defaults', () => {
    expect(chaosOptions({ SEED: '' })).toEqual({
      ...{ seed: 1, rounds: 20, count: undefined, rooms: 1, clients: 'sdk' },
      ...{ kinds: [...faultKinds], controlMs: 30_000 },
    });
  });

  it('choose the faults by name', () => {
    const { kinds, count } = chaosOptions({ FAULTS: 'drain, consumer-kill', COUNT: '50' });
    expect({ kinds, count }).toEqual({ kinds: ['drain', 'consumer-kill'], count: 50 });
  });

  it.each([
    [{ SEED: '-1' }, 'SEED'],
    [{ ROUNDS: 'many' }, 'ROUNDS'],
    [{ COUNT: '0' }, 'COUNT'],
    [{ ROOMS: '0' }, 'ROOMS'],
    [{ CLIENTS: 'none' }, 'CLIENTS'],
    [{ FAULTS: 'drain,flood' }, 'FAULTS'],
    [{ FAULTS: ' , ' }, 'FAULTS'],
  ])('are named when they are wrong: %j', (env, name) => {
    expect(() => chaosOptions(env)).toThrow(name);
  });
});
