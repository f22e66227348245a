import { describe, expect, it } from '@jest/globals';

import { FakeNode } from '../../testing/fake-node.ts';
import type { Pod } from '../cluster.ts';
import type { Miss } from './missed-poll.ts';
import {
  isOutdated,
  lacksWitness,
  observeAnswer,
  observeMiss,
  observePod,
  type ObservedNode,
} from './observe.ts';

const policy = {
  ...{ staleAfterMisses: 2, deadAfterMisses: 4, deadAfterMs: 300, deadAfterRefusals: 3 },
  ...{ replaceAfterMs: 2000, startTimeoutMs: 1000 },
};
const at = (now: number, askedAt = now) => ({ askedAt, now });
const node = new FakeNode({ podName: 'c-0', pool: 'c', role: 'Consumer', secret: 'x' });

const makePod = (restartCount = 0, running = true, uid = 'uid'): Pod =>
  ({
    metadata: { name: 'c-0', namespace: 'default', uid },
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'n', env: [], ports: [] }] },
    status: {
      phase: 'Running',
      containerStatuses: [{ restartCount, state: running ? { running: { startedAt: '' } } : {} }],
    },
  }) as unknown as Pod;

const answered = (now = 100): ObservedNode =>
  observeAnswer(observePod(makePod(), 'http://c-0'), { status: node.status() }, at(now));
/** Misses polls, one each 100 ms after 200. */
const missing = (from: ObservedNode, ...misses: Miss[]): ObservedNode =>
  misses.reduce<ObservedNode>(
    (state, miss, i) => observeMiss(state, { miss, policy, now: 200 + i * 100 }),
    from,
  );
const silent = (from: ObservedNode, polls: number): ObservedNode =>
  missing(from, ...Array.from({ length: polls }, () => 'Silent' as const));

describe('a node', () => {
  it('is pending until it answers', () => {
    expect(observePod(makePod(), undefined).state).toBe('Pending');
    expect(answered()).toMatchObject({ state: 'Ready', instance: { id: node.instanceId } });
  });

  it('is not ready while it announces another address than it should', () => {
    const fresh = observePod(makePod(), 'http://c-0');
    const status = { ...node.status(), announcedAddress: '10.0.0.1' };
    const stateWith = (address: string | undefined) =>
      observeAnswer(fresh, { status, address }, at(100)).state;
    expect(stateWith('198.51.100.7')).toBe('Pending');
    expect(stateWith('10.0.0.1')).toBe('Ready');
    expect(stateWith(undefined)).toBe('Ready');
    const draining = { ...status, state: 'Draining' as const };
    expect(observeAnswer(fresh, { status: draining, address: 'x' }, at(100)).state).toBe(
      'Draining',
    );
  });

  it('is still ready after one missed poll, unreachable after several, dead after many', () => {
    expect(silent(answered(), 1).state).toBe('Ready');
    expect(silent(answered(), 2).state).toBe('Unreachable');
    expect(silent(answered(), 3).state).toBe('Unreachable');
    expect(silent(answered(), 4).state).toBe('Dead');
  });

  it('is not dead by many missed polls before its silence has lasted for its time', () => {
    const quick = Array.from({ length: 9 }).reduce<ObservedNode>(
      (state) => observeMiss(state, { miss: 'Silent', policy, now: 399 }),
      answered(),
    );
    expect(quick.state).toBe('Unreachable');
    expect(observeMiss(quick, { miss: 'Silent', policy, now: 400 }).state).toBe('Dead');
  });

  it('is dead after some refused connections in a row, whatever the time', () => {
    const refuse = (from: ObservedNode, times: number): ObservedNode =>
      Array.from({ length: times }).reduce<ObservedNode>(
        (state) => observeMiss(state, { miss: 'Refused', policy, now: 101 }),
        from,
      );
    expect(refuse(answered(), 2).state).toBe('Unreachable');
    expect(refuse(answered(), 3).state).toBe('Dead');
    expect(refuse(missing(answered(), 'Refused', 'Refused', 'Broken'), 2).state).not.toBe('Dead');
  });

  it('stays dead until it answers', () => {
    const dead = missing(answered(), 'Refused', 'Refused', 'Refused');
    expect(missing(dead, 'Silent').state).toBe('Dead');
    expect(observeAnswer(dead, { status: node.status() }, at(600)).state).toBe('Ready');
  });

  it('is not judged by polls that were overtaken', () => {
    const now = observeAnswer(answered(), { status: node.status() }, { askedAt: 150, now: 160 });
    expect(isOutdated(now, 155, 'Silent')).toBe(true);
    expect(isOutdated(now, 160, 'Silent')).toBe(false);
    expect(isOutdated(now, 149)).toBe(true);
    expect(isOutdated(now, 150)).toBe(false);
  });

  it('is ready again at once when it answers', () => {
    const back = observeAnswer(silent(answered(), 3), { status: node.status() }, at(600));
    expect(back).toMatchObject({ state: 'Ready', misses: 0, silentSince: undefined });
  });

  it('is dead when it has not answered within the start time', () => {
    const fresh = observePod(makePod(), 'http://c-0');
    const miss = (from: ObservedNode, now: number) =>
      observeMiss(from, { miss: 'Refused', policy, now });
    const first = miss(fresh, 5000);
    expect(miss(first, 5999).state).toBe('Pending');
    expect(miss(first, 6000).state).toBe('Dead');
  });

  it('is judged by its own container, whatever became of others in its pod', () => {
    const pod = makePod();
    const others = [{ name: 'proxy', restartCount: 7, state: {} }];
    const own = { name: 'media-node', restartCount: 0, state: { running: { startedAt: '' } } };
    const both = { ...pod, status: { ...pod.status, containerStatuses: [...others, own] } };
    expect(observePod(both, 'http://c-0', answered()).instance?.id).toBe(node.instanceId);
  });

  it('loses its instance when its pod says that the process ended, was restarted, or is another pod', () => {
    for (const pod of [makePod(0, false), makePod(1), makePod(0, true, 'other')]) {
      expect(observePod(pod, 'http://c-0', answered())).toMatchObject({
        state: 'Pending',
        instance: undefined,
      });
    }
    expect(observePod(makePod(), 'http://c-0', answered()).instance?.id).toBe(node.instanceId);
  });
});

describe('lacksWitness', () => {
  // Silent since 200.
  const gone = silent(answered(), 1);
  const pod = makePod();
  const isReady = { type: 'Ready', status: 'True' as const };
  const ready = { ...pod, status: { ...pod.status, conditions: [isReady] } };
  const unheard = silent(observePod(makePod(), undefined), 1);
  const unheardReady = silent(observePod(ready, undefined), 1);
  const lacks = (suspect: ObservedNode, others: ObservedNode[], now = 500): boolean =>
    lacksWitness(suspect, others, { policy, now });

  it('holds for a node that had answered when others had, and none has answered since', () => {
    expect(lacks(gone, [gone])).toBe(true);
    expect(lacks(gone, [answered(199)])).toBe(true);
    expect(lacks(gone, [silent(answered(250), 1)])).toBe(true);
    expect(lacks(gone, [answered(200)])).toBe(false);
  });

  it('holds for the silence of a lone node for a time, and not for its closed port', () => {
    expect(lacks(gone, [])).toBe(true);
    expect(lacks(gone, [unheard], 2099)).toBe(true);
    expect(lacks(gone, [unheard], 2100)).toBe(false);
    expect(lacks(missing(answered(), 'Refused', 'Refused', 'Refused'), [])).toBe(false);
    expect(lacks(missing(answered(), 'Refused', 'Refused', 'Refused'), [gone])).toBe(true);
  });

  it('holds for a node that has not answered yet when none answers, and its pod says that it serves', () => {
    expect(lacks(unheardReady, [])).toBe(true);
    expect(lacks(unheardReady, [unheard, gone])).toBe(true);
    expect(lacks(unheardReady, [answered(200)])).toBe(false);
    expect(lacks(unheard, [unheardReady])).toBe(false);
  });
});
