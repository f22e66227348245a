import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../common/errors.ts';
import { listMediaWorkers } from './resources-client.ts';

/** How long the platform may take until a join succeeds, and the pause between looks, in milliseconds. */
const wait = { timeoutMs: 120_000, intervalMs: 250, sayEveryMs: 10_000 };

interface Awaited {
  kubeconfig: string;
  replicas: { name: string; internalUrl: string }[];
}

async function waitingForPools(kubeconfig: string): Promise<string[]> {
  const pools = await listMediaWorkers(kubeconfig).catch(messageOf);
  if (typeof pools === 'string') return [`operator (${pools})`];
  return pools
    .filter(({ spec, status }) => (status?.readyReplicas ?? 0) < spec.replicas)
    .map(({ metadata, spec, status }) => {
      const ready = `${status?.readyReplicas ?? 0}/${spec.replicas}`;
      return `pool ${metadata.name} (${ready} nodes ready)`;
    });
}

async function waitingForReplica(replica: Awaited['replicas'][number]): Promise<string[]> {
  try {
    const response = await fetch(`${replica.internalUrl}/readyz`);
    if (response.ok) return [];
    const body = (await response.json()) as { waitingFor?: string[] };
    return [`${replica.name} (${(body.waitingFor ?? []).join(', ')})`];
  } catch (error) {
    return [`${replica.name} (${messageOf(error)})`];
  }
}

/** Resolves when every node of every pool and every signaling replica is ready, so that a join will succeed. */
export async function waitUntilReady(
  { kubeconfig, replicas }: Awaited,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const startedAt = Date.now();
  let saidAt = startedAt;
  for (;;) {
    signal?.throwIfAborted();
    const waitingFor = (
      await Promise.all([waitingForPools(kubeconfig), ...replicas.map(waitingForReplica)])
    ).flat();
    if (waitingFor.length === 0) return;
    const text = `waiting for ${waitingFor.join(', ')}`;
    if (Date.now() - startedAt > wait.timeoutMs)
      throw new Error(`not ready after ${wait.timeoutMs / 1000} s: ${text}`);
    if (Date.now() - saidAt > wait.sayEveryMs) {
      say(text);
      saidAt = Date.now();
    }
    await sleep(wait.intervalMs);
  }
}
