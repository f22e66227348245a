import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';

import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { KubernetesWorld, startWorldControlPlane } from '../../testing/kubernetes/world.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { until } from '../../testing/until.ts';
import { operatorConfig, type OperatorConfig } from '../config.ts';
import { runCleanup } from './cleanup.ts';

let controlPlane: ControlPlane;
let world: KubernetesWorld;
let printed: string;

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);
afterAll(() => controlPlane.stop());

beforeEach(async () => {
  printed = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  world = await KubernetesWorld.create(controlPlane);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await world.close();
});

const configOf = (namespace: string | undefined, timeoutMs = 20_000): OperatorConfig =>
  operatorConfig.parse({
    ...quickConfig,
    cleanup: { pollMs: 50, timeoutMs },
    kubernetes: {
      kubeconfig: controlPlane.kubeconfig(),
      ...(namespace === undefined ? {} : { namespace }),
    },
  });

/** A pool whose drains would last for an hour, with a room on it. */
async function fill(): Promise<void> {
  await world.applyPool('media', { role: 'Both', replicas: 2, drain: { timeoutSeconds: 3600 } });
  await world.readyPool('media');
  await world.applyRoom('lobby');
  await world.readyRoom('lobby');
}

describe('the command cleanup', () => {
  it('deletes rooms and pools and waits until they are gone, also those made meanwhile', async () => {
    await world.start();
    await fill();
    // Keeps the pool until the test lets it go.
    const held = (finalizers: string) =>
      world.kubectl(['patch', 'mediaworker/media', '--type=json', '-p', finalizers]);
    await held('[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/held"}]');
    const done = runCleanup(configOf(world.namespace));
    const untilGone = () =>
      until('the room to be gone', async () => !(await world.exists('mediarooms', 'lobby')));
    await untilGone();
    // As the signaling service does for peers that come back.
    await world.applyRoom('lobby');
    await untilGone();
    await until('the pool to be left', async () =>
      (await world.pool('media')).metadata.finalizers?.every((name) => name === 'example.com/held'),
    );
    await held('[{"op":"remove","path":"/metadata/finalizers"}]');
    await done;
    expect(await world.rooms()).toEqual([]);
    expect(await world.pools()).toEqual([]);
    expect(printed.split('deleting mediarooms/lobby\n')).toHaveLength(3);
    expect(printed).toContain('deleting mediaworkers/media\n');
    expect(printed).toContain(`no rooms and pools are left in the namespace ${world.namespace}\n`);
  });

  it('does nothing where nothing is', async () => {
    await runCleanup(configOf(world.namespace));
    expect(printed).toBe(`no rooms and pools are left in the namespace ${world.namespace}\n`);
  });

  it('leaves other namespaces alone', async () => {
    await world.applyPool('media', { role: 'Both', replicas: 1 });
    await runCleanup(configOf('default'));
    expect((await world.pools()).map(({ metadata }) => metadata.name)).toEqual(['media']);
  });

  it('names what is left where no operator runs, and goes on when it is repeated', async () => {
    const operator = await world.start();
    await fill();
    await operator.close();
    await expect(runCleanup(configOf(world.namespace), '1')).rejects.toThrow(
      /^left after 1 s: mediarooms\/lobby, mediaworkers\/media; a running operator/,
    );
    await world.start();
    await runCleanup(configOf(world.namespace));
    expect(await world.pools()).toEqual([]);
  });

  it('never deletes in all namespaces', async () => {
    await expect(runCleanup(configOf(undefined))).rejects.toThrow('kubernetes.namespace: expected');
  });

  it.each(['0', '-1', '1m', ''])('refuses a time of "%s"', async (seconds) => {
    await expect(runCleanup(configOf(world.namespace), seconds)).rejects.toThrow(
      '--timeout: expected a whole number of seconds',
    );
  });

  it('waits for an API server that is away, and gives up when the time is over', async () => {
    await controlPlane.stopServer();
    try {
      await expect(runCleanup(configOf(world.namespace, 200))).rejects.toThrow('Kubernetes API');
    } finally {
      await controlPlane.startServer();
    }
  });
});
