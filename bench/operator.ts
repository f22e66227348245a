import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { KubernetesClient } from '../common/kubernetes/client.ts';
import { collectionPath, objectPath, resourceTypes } from '../common/kubernetes/paths.ts';
import { apiVersion, type MediaWorker } from '../common/resources/types.ts';
import { startControlPlane, type ControlPlane } from '../testing/kubernetes/control-plane.ts';
import { OperatorProcess, total, type Metrics } from '../testing/kubernetes/operator-process.ts';

export interface OperatorBench {
  /** Rooms of each round; each has a control plane of its own. */
  sizes: readonly number[];
  /** Media nodes, half of them for each side. */
  nodes: number;
  say: (line: string) => void;
}

export interface OperatorResult {
  rooms: number;
  nodes: number;
  /** From the operator's start to the last room's `Ready`, with all rooms waiting, in seconds. */
  placedAfter: number;
  /** Upper bound of 99 % of the reconciles of rooms meanwhile, in milliseconds. */
  reconcileP99Ms: number;
  /** Writes to the API server for each room. */
  writes: number;
  /** Calls to media nodes for each room. */
  nodeCalls: number;
  /** The operator's own processor time for each room, in milliseconds. */
  cpuMs: number;
  /** Largest resident memory of the operator, in MiB. */
  memoryMiB: number;
  /** From a start with all rooms placed to empty queues after each room was looked at, in seconds. */
  coldStart: number;
  /** Writes to the API server at that start, of any kind. */
  coldStartWrites: number;
}

const namespace = 'default';
/** How many objects are made at a time before the clock starts. */
const makers = 16;
const pollMs = 250;
/** Longest time of one step, in milliseconds. */
const stepTimeoutMs = 600_000;

async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + stepTimeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await sleep(pollMs);
  }
}

const createPool = (client: KubernetesClient, role: 'Producer' | 'Consumer', replicas: number) =>
  client.call({
    method: 'POST',
    path: collectionPath(resourceTypes.mediaworkers, namespace),
    body: {
      apiVersion,
      kind: 'MediaWorker',
      metadata: { name: role.toLowerCase() },
      spec: { role, replicas, capacity: { routersPerWorker: 200 }, rollout: { maxSurge: 1 } },
    },
  });

async function createRooms(client: KubernetesClient, count: number): Promise<void> {
  let made = 0;
  const maker = async (): Promise<void> => {
    for (let i = made++; i < count; i = made++)
      await client.call({
        method: 'POST',
        path: collectionPath(resourceTypes.mediarooms, namespace),
        body: { apiVersion, kind: 'MediaRoom', metadata: { name: `room-${i}` }, spec: {} },
      });
  };
  await Promise.all(Array.from({ length: makers }, maker));
}

async function areNodesReady(client: KubernetesClient, role: string, count: number) {
  const path = objectPath(resourceTypes.mediaworkers, { namespace, name: role.toLowerCase() });
  const { status } = await client.call<MediaWorker>({ method: 'GET', path });
  return status?.readyReplicas === count ? true : undefined;
}

const readyRooms = (metrics: Metrics): number =>
  total(metrics, 'kube_sfu_operator_rooms', 'ready="true"');

/** Every request that changes something, Leases and Events included. */
const writesOf = (metrics: Metrics): number =>
  ['POST', 'PUT', 'PATCH', 'DELETE'].reduce(
    (sum, method) => sum + total(metrics, 'rest_client_requests_total', `method="${method}"`),
    0,
  );

/** The smallest bucket bound below which 99 % of the rooms' reconciles are, in milliseconds. */
function p99Of(metrics: Metrics): number {
  const name = 'controller_runtime_reconcile_time_seconds';
  const label = 'controller="mediaroom"';
  const count = total(metrics, `${name}_count`, label);
  const bounds = [...metrics]
    .filter(([key]) => key.startsWith(`${name}_bucket`) && key.includes(label))
    .map(([key, value]) => ({ bound: Number(/le="([^"]+)"/.exec(key)?.[1]), value }))
    .filter(({ bound, value }) => Number.isFinite(bound) && value >= 0.99 * count);
  return Math.min(...bounds.map(({ bound }) => bound)) * 1000;
}

async function startMachines(
  kubeconfig: string,
  secret: string,
  machines: number,
): Promise<ChildProcess> {
  const child = fork(
    path.join(import.meta.dirname, 'operator-machines.ts'),
    ['--kubeconfig', kubeconfig, '--machines', String(machines)],
    { env: { ...process.env, SERVICE_SECRET: secret } },
  );
  const [outcome] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit'),
  ])) as unknown[];
  if (outcome !== 'ready') throw new Error('the machines did not start');
  return child;
}

interface Round {
  controlPlane: ControlPlane;
  rooms: number;
  nodes: number;
  start: () => Promise<OperatorProcess>;
  say: (line: string) => void;
}

/** The pools come up before any room is there. */
async function preparePools({ controlPlane, nodes, start }: Round): Promise<void> {
  const { client } = controlPlane;
  await createPool(client, 'Producer', nodes / 2);
  await createPool(client, 'Consumer', nodes / 2);
  const operator = await start();
  for (const role of ['Producer', 'Consumer'])
    await until(`the ${role} nodes`, () => areNodesReady(client, role, nodes / 2));
  await operator.stop();
}

type Placed = Omit<OperatorResult, 'coldStart' | 'coldStartWrites'>;

async function measurePlacement({ rooms, nodes, start }: Round): Promise<Placed> {
  const operator = await start();
  const metrics = await until('all rooms to be ready', async () => {
    const read = await operator.read();
    return read && readyRooms(read) >= rooms ? read : undefined;
  });
  const placedAfter = (performance.now() - operator.startedAt) / 1000;
  await operator.stop();
  const nodeCalls = total(
    metrics,
    'kube_sfu_http_client_request_duration_seconds_count',
    'route="/rooms/:roomId/routers/:routerId"',
  );
  return {
    ...{ rooms, nodes, placedAfter },
    reconcileP99Ms: p99Of(metrics),
    writes: writesOf(metrics) / rooms,
    nodeCalls: nodeCalls / rooms,
    cpuMs: (1000 * total(metrics, 'process_cpu_seconds_total')) / rooms,
    memoryMiB: operator.peakMemory / 2 ** 20,
  };
}

async function measureColdStart({ rooms, start }: Round): Promise<Partial<OperatorResult>> {
  const operator = await start();
  const metrics = await until('the operator to be steady', async () => {
    const read = await operator.read();
    if (!read || readyRooms(read) < rooms) return undefined;
    const looked = total(read, 'controller_runtime_reconcile_total', 'controller="mediaroom"');
    const waiting = total(read, 'workqueue_depth');
    return looked >= rooms && waiting === 0 ? read : undefined;
  });
  const coldStart = (performance.now() - operator.startedAt) / 1000;
  await operator.stop();
  return { coldStart, coldStartWrites: writesOf(metrics) };
}

async function measureRound(round: Round): Promise<OperatorResult> {
  const { rooms, nodes, say, controlPlane } = round;
  await preparePools(round);
  say(`${nodes} media nodes are ready; making ${rooms} rooms`);
  await createRooms(controlPlane.client, rooms);
  say('starting the operator');
  const placed = await measurePlacement(round);
  say(`all placed after ${placed.placedAfter.toFixed(1)} s; starting the operator anew`);
  return { ...placed, ...(await measureColdStart(round)) } as OperatorResult;
}

/** What it costs the operator to place rooms, on a real API server with simulated machines. */
export async function measureOperator({
  sizes,
  nodes,
  say,
}: OperatorBench): Promise<OperatorResult[]> {
  const results: OperatorResult[] = [];
  for (const rooms of sizes) {
    say(`operator: starting a control plane for ${rooms} rooms`);
    const controlPlane = await startControlPlane();
    const secret = randomBytes(32).toString('hex');
    const kubeconfig = controlPlane.kubeconfig();
    const machines = await startMachines(kubeconfig, secret, nodes);
    const config = {
      log: { level: 'warn' },
      serviceAuth: { secret },
      kubernetes: { kubeconfig, leaderElection: { namespace } },
    };
    const start = () => OperatorProcess.start({ dir: controlPlane.dir, config });
    try {
      results.push(await measureRound({ controlPlane, rooms, nodes, start, say }));
    } finally {
      machines.disconnect();
      await controlPlane.stop();
    }
  }
  return results;
}
