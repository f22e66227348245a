/**
 * The API server's own process is frozen or crashes while work goes on. The operator reaches it directly and leads by a Lease, as
 * on a cluster: where it loses that, it ends, is started again as its machine does, and takes up what it finds.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { Cleanup } from '../../testing/cleanup.ts';
import { BusyWorld } from '../../testing/kubernetes/busy-world.ts';
import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { systemNamespace } from '../../testing/kubernetes/service-roles.ts';
import { startWorldControlPlane } from '../../testing/kubernetes/world.ts';

/** Shorter than a leader goes on without a renewal. */
const briefMs = 5_000;
/** Longer than that, and than others wait for a silent leader. */
const longMs = 25_000;
const testTimeoutMs = 300_000;

let controlPlane: ControlPlane;
let busy: BusyWorld;
const cleanup = new Cleanup();

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
  cleanup.add(() => controlPlane.stop());
  // Where the role of `config/rbac/` lets it.
  const leaderElection = { enabled: true, namespace: systemNamespace };
  const config = { kubernetes: { leaderElection } };
  busy = await BusyWorld.create({ controlPlane, seed: 11, config, direct: true });
  cleanup.add(() => busy.close());
}, testTimeoutMs);

afterAll(() => cleanup.run(), testTimeoutMs);

/** Breaks the API server while work goes on, and waits until all is well. @returns how often the operator ended meanwhile */
async function endure(fault: () => Promise<void>): Promise<number> {
  const still = await busy.still();
  const { restarts } = busy;
  busy.startWork();
  await fault();
  await busy.stopWork();
  await busy.settle();
  expect(await busy.still()).toEqual(still);
  expect(still).toMatchObject({ disturbances: [] });
  return busy.restarts - restarts;
}

async function freeze(ms: number): Promise<void> {
  controlPlane.pause();
  await sleep(ms);
  controlPlane.resume();
}

describe('an operator that leads by a Lease, whose API server', () => {
  it(
    'is frozen for a moment, goes on leading',
    async () => {
      expect(await endure(() => freeze(briefMs))).toBe(0);
    },
    testTimeoutMs,
  );

  it(
    'is frozen for longer than it may lead, ends once and takes up again',
    async () => {
      expect(await endure(() => freeze(longMs))).toBe(1);
    },
    testTimeoutMs,
  );

  it(
    'crashes and is started anew much later, ends once and takes up again',
    async () => {
      const crash = async (): Promise<void> => {
        await controlPlane.stopServer();
        await sleep(longMs);
        await controlPlane.startServer();
      };
      expect(await endure(crash)).toBe(1);
    },
    testTimeoutMs,
  );
});
