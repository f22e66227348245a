import { describe, expect, it } from '@jest/globals';

import { FakeNode } from '../../testing/fake-node.ts';
import type { Pod } from '../cluster.ts';
import {
  isCutOff,
  observeAnswer,
  observePod,
  observeSilence,
  type ObservedNode,
} from './observe.ts';

const policy = { staleAfterMisses: 2, deadAfterMisses: 4, startTimeoutMs: 1000 };
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

const answered = (): ObservedNode =>
  observeAnswer(observePod(makePod(), 'http://c-0'), { status: node.status() }, 100);
const silent = (from: ObservedNode, polls: number): ObservedNode =>
  Array.from({ length: polls }).reduce<ObservedNode>(
    (state, _, i) => observeSilence(state, policy, 200 + i),
    from,
  );

describe('a node', () => {
  it('is pending until it answers', () => {
    expect(observePod(makePod(), undefined).state).toBe('Pending');
    expect(answered()).toMatchObject({ state: 'Ready', instance: { id: node.instanceId } });
  });

  it('is not ready while it announces another address than it should', () => {
    const fresh = observePod(makePod(), 'http://c-0');
    const status = { ...node.status(), announcedAddress: '10.0.0.1' };
    const stateWith = (address: string | undefined) =>
      observeAnswer(fresh, { status, address }, 100).state;
    expect(stateWith('198.51.100.7')).toBe('Pending');
    expect(stateWith('10.0.0.1')).toBe('Ready');
    expect(stateWith(undefined)).toBe('Ready');
    const draining = { ...status, state: 'Draining' as const };
    expect(observeAnswer(fresh, { status: draining, address: 'x' }, 100).state).toBe('Draining');
  });

  it('is still ready after one missed poll, unreachable after several, dead after many', () => {
    expect(silent(answered(), 1).state).toBe('Ready');
    expect(silent(answered(), 2).state).toBe('Unreachable');
    expect(silent(answered(), 3).state).toBe('Unreachable');
    expect(silent(answered(), 4).state).toBe('Dead');
  });

  it('is ready again at once when it answers', () => {
    const back = observeAnswer(silent(answered(), 3), { status: node.status() }, 300);
    expect(back).toMatchObject({ state: 'Ready', misses: 0, silentSince: undefined });
  });

  it('is dead when it has not answered within the start time', () => {
    const fresh = observePod(makePod(), 'http://c-0');
    const first = observeSilence(fresh, policy, 5000);
    expect(observeSilence(first, policy, 5999).state).toBe('Pending');
    expect(observeSilence(first, policy, 6000).state).toBe('Dead');
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

describe('isCutOff', () => {
  const gone = silent(answered(), 1);
  const pod = makePod();
  const isReady = { type: 'Ready', status: 'True' as const };
  const ready = { ...pod, status: { ...pod.status, conditions: [isReady] } };
  const unheard = silent(observePod(makePod(), undefined), 1);
  const unheardReady = silent(observePod(ready, undefined), 1);

  it('holds for a node that had answered when others had, and all of them are silent', () => {
    expect(isCutOff(gone, [gone])).toBe(true);
    expect(isCutOff(gone, [answered()])).toBe(false);
    expect(isCutOff(gone, [])).toBe(false);
    expect(isCutOff(gone, [unheard])).toBe(false);
  });

  it('holds for a node that has not answered yet when none answers, and its pod says that it serves', () => {
    expect(isCutOff(unheardReady, [])).toBe(true);
    expect(isCutOff(unheardReady, [unheard, gone])).toBe(true);
    expect(isCutOff(unheardReady, [answered()])).toBe(false);
    expect(isCutOff(unheard, [unheardReady])).toBe(false);
  });
});
