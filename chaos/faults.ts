import { setTimeout as sleep } from 'node:timers/promises';

import { until } from '../testing/until.ts';
import type { FaultKind } from './kinds.ts';
import type { Component, MediaNode, Platform, Running } from './platform.ts';
import { peersOfRoom, type RoomPeer } from './tables.ts';

/** What a fault did. */
export interface Blow {
  /** To what. */
  target: string;
  /** When it began, in milliseconds since the epoch. */
  at: number;
  /** Whether it took away what this page watches that peer through. */
  hits: (page: string, watched: string) => boolean;
}

interface FaultContext {
  platform: Platform;
  /** The room of the pages. */
  room: string;
  random: () => number;
  /** Told when it begins; a fault of several steps begins once for each of its targets. */
  begun: (blow: Blow) => void;
}

/** Does something to the platform and gives back what it took, in full. */
type Fault = (context: FaultContext) => Promise<void>;

/** Times of the faults, in milliseconds. */
const times = {
  operatorAwayMs: 3000,
  signalingAwayMs: 1000,
  signalingPauseMs: 5000,
  postgresAwayMs: 4000,
  apiServerAwayMs: 6000,
  etcdPauseMs: 6000,
  silenceMs: 5000,
  cutMs: 4000,
  diskFullMs: 5000,
};
/** How long a pod that is moved away, or a pool that changes, may take. */
const change = { timeoutMs: 150_000, intervalMs: 200 };

const everything = (): boolean => true;
const nothing = (): boolean => false;

function pick<T>(items: readonly T[], random: () => number, what: string): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error(`there is no ${what}`);
  return item;
}

type Role = 'Producer' | 'Consumer';

/** Which streams of the pages go through a node, on this side or both. */
function hitsOf(
  peers: readonly RoomPeer[],
  { status: { instanceId } }: MediaNode,
): (page: string, watched: string) => boolean {
  const on = (side: 'producerInstance' | 'consumerInstance', peerId: string): boolean =>
    peers.some((peer) => peer.peerId === peerId && peer[side] === instanceId);
  return (page, watched) => on('consumerInstance', page) || on('producerInstance', watched);
}

/** A node that the room's media goes through. */
async function findNode(
  { platform, room, random }: FaultContext,
  role?: Role,
): Promise<{ node: MediaNode; hits: Blow['hits'] }> {
  const [all, peers] = await Promise.all([platform.mediaNodes(), peersOfRoom(platform.knex, room)]);
  const used = new Set(peers.flatMap((peer) => [peer.producerInstance, peer.consumerInstance]));
  const nodes = all
    .filter(({ status }) => used.has(status.instanceId) && (!role || status.role === role))
    .sort((a, b) => (a.pod < b.pod ? -1 : 1));
  const node = pick(nodes, random, `${role ?? 'media'} node with a part of the room`);
  return { node, hits: hitsOf(peers, node) };
}

const signal = (pids: readonly number[], name: NodeJS.Signals): void => {
  for (const pid of pids) process.kill(pid, name);
};

async function processOf(platform: Platform, pod: string): Promise<number> {
  const running = await platform.processes();
  const found = running.find(({ name }) => name === pod);
  if (!found) throw new Error(`${pod} does not run`);
  return found.pid;
}

const killNode =
  (role: Role): Fault =>
  async (context) => {
    const { node, hits } = await findNode(context, role);
    const pid = await processOf(context.platform, node.pod);
    context.begun({ target: node.pod, at: Date.now(), hits });
    signal([pid], 'SIGKILL');
  };

const killWorker: Fault = async (context) => {
  const { node, hits } = await findNode(context);
  const { pid } = pick(node.status.workers, context.random, `worker of ${node.pod}`);
  context.begun({ target: `${node.pod}, worker`, at: Date.now(), hits });
  signal([pid], 'SIGKILL');
};

/** Stops the node with its workers, as a machine that hangs. */
const pauseNode =
  (ms: number): Fault =>
  async (context) => {
    const { node, hits } = await findNode(context);
    const pid = await processOf(context.platform, node.pod);
    const pids = [pid, ...node.status.workers.map((worker) => worker.pid)];
    context.begun({ target: node.pod, at: Date.now(), hits });
    signal(pids, 'SIGSTOP');
    await sleep(ms);
    for (const each of pids) resume(each);
  };

/** It may have been given up and killed meanwhile. */
function resume(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // It is gone.
  }
}

const drain: Fault = async (context) => {
  const { platform } = context;
  const { node, hits } = await findNode(context);
  context.begun({ target: node.pod, at: Date.now(), hits });
  await platform.cordon(node.machine, true);
  try {
    await until(
      `${node.pod} to be moved away`,
      async () => !(await platform.mediaNodes()).some((one) => isSame(one, node)),
      change,
    );
    await platform.steady();
  } finally {
    await platform.cordon(node.machine, false);
  }
};

const isSame = (one: MediaNode, other: MediaNode): boolean =>
  one.status.instanceId === other.status.instanceId;

const rollOut: Fault = async ({ platform, random, begun }) => {
  const pool = pick(await platform.pools(), random, 'pool');
  const cpu = `${10 + Math.floor(random() * 90)}m`;
  begun({ target: `pool ${pool.metadata.name}`, at: Date.now(), hits: everything });
  await platform.patchPool(pool.metadata.name, { resources: { requests: { cpu } } });
  await platform.steady();
};

/** Rolls every pool at once. */
const rollAll: Fault = async ({ platform, random, begun }) => {
  const pools = await platform.pools();
  const cpu = `${10 + Math.floor(random() * 90)}m`;
  begun({ target: 'all pools', at: Date.now(), hits: everything });
  for (const { metadata } of pools)
    await platform.patchPool(metadata.name, { resources: { requests: { cpu } } });
  await platform.steady();
};

/** Takes one node from the larger pool, and gives it back. */
const scale: Fault = async ({ platform, begun }) => {
  const pools = await platform.pools();
  const [pool] = pools.sort((a, b) => b.spec.replicas - a.spec.replicas);
  if (!pool) throw new Error('there is no pool');
  const { name } = pool.metadata;
  begun({ target: `pool ${name}`, at: Date.now(), hits: everything });
  await platform.patchPool(name, { replicas: pool.spec.replicas - 1 });
  await platform.steady();
  await platform.patchPool(name, { replicas: pool.spec.replicas });
  await platform.steady();
};

const ofComponent = async (platform: Platform, component: Component): Promise<Running[]> =>
  (await platform.processes()).filter((one) => one.component === component);

const killOne =
  (component: Component, name: NodeJS.Signals): Fault =>
  async ({ platform, random, begun }) => {
    const one = pick(await ofComponent(platform, component), random, component);
    begun({ target: one.name, at: Date.now(), hits: everything });
    signal([one.pid], name);
  };

const pauseOne =
  (component: Component, ms: number): Fault =>
  async ({ platform, random, begun }) => {
    const one = pick(await ofComponent(platform, component), random, component);
    begun({ target: one.name, at: Date.now(), hits: everything });
    signal([one.pid], 'SIGSTOP');
    await sleep(ms);
    resume(one.pid);
  };

const takeAway =
  (component: Component, name: 'SIGKILL' | 'SIGTERM', ms: number): Fault =>
  async ({ platform, begun }) => {
    begun({ target: component, at: Date.now(), hits: everything });
    await platform.away(component, { signal: name, ms });
  };

function needed<T>(part: T | undefined, what: string): T {
  if (part === undefined) throw new Error(`this platform has no ${what}`);
  return part;
}

const resetSockets: Fault = ({ platform, begun }) => {
  begun({ target: 'ingress', at: Date.now(), hits: everything });
  needed(platform.ingress, 'ingress').reset();
  return Promise.resolve();
};

const silenceSockets: Fault = async ({ platform, begun }) => {
  const ingress = needed(platform.ingress, 'ingress');
  begun({ target: 'ingress', at: Date.now(), hits: everything });
  ingress.silence();
  await sleep(times.silenceMs);
  ingress.heal();
};

const cutNode =
  (what: 'udp' | 'all'): Fault =>
  async (context) => {
    const cut = needed(context.platform.cut, 'network to cut');
    const { node, hits } = await findNode(context);
    context.begun({ target: node.pod, at: Date.now(), hits });
    const mend = await cut(node, what);
    await sleep(times.cutMs);
    await mend();
  };

const fillDisk =
  (of: 'postgres' | 'logs'): Fault =>
  async ({ platform, begun }) => {
    const fill = needed(platform.fillDisk, 'disk to fill');
    begun({ target: of, at: Date.now(), hits: of === 'logs' ? everything : nothing });
    const empty = await fill(of);
    await sleep(times.diskFullMs);
    await empty();
  };

export const faults: Record<FaultKind, Fault> = {
  'consumer-kill': killNode('Consumer'),
  'producer-kill': killNode('Producer'),
  'worker-kill': killWorker,
  'node-pause-500ms': pauseNode(500),
  'node-pause-1s': pauseNode(1000),
  'node-pause-10s': pauseNode(10_000),
  drain,
  rollout: rollOut,
  'roll-pools': rollAll,
  scale,
  'signaling-kill': killOne('signaling', 'SIGKILL'),
  'signaling-term': killOne('signaling', 'SIGTERM'),
  'signaling-pause': pauseOne('signaling', times.signalingPauseMs),
  'operator-kill': takeAway('operator', 'SIGKILL', times.operatorAwayMs),
  'postgres-restart': takeAway('postgres', 'SIGTERM', times.postgresAwayMs),
  'postgres-kill': takeAway('postgres', 'SIGKILL', times.postgresAwayMs),
  'api-server-kill': takeAway('kube-apiserver', 'SIGKILL', times.apiServerAwayMs),
  'etcd-pause': pauseOne('etcd', times.etcdPauseMs),
  'sockets-reset': resetSockets,
  'sockets-silent': silenceSockets,
  'udp-cut': cutNode('udp'),
  'node-cut': cutNode('all'),
  'postgres-disk-full': fillDisk('postgres'),
  'log-disk-full': fillDisk('logs'),
};

/** Why this platform can't have a fault; undefined where it can. */
export function missingFor(kind: FaultKind, platform: Platform): string | undefined {
  if (kind.startsWith('sockets-') && !platform.ingress) return 'connections are not ours to break';
  if (['udp-cut', 'node-cut'].includes(kind) && !platform.cut) return 'the network is not ours';
  if (kind.endsWith('disk-full') && !platform.fillDisk) return 'the disks are not ours';
  return undefined;
}
