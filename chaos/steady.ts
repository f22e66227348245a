import { isConditionTrue } from '../common/resources/conditions.ts';
import type { MediaWorker } from '../common/resources/types.ts';
import { until } from '../testing/until.ts';

export interface SteadyRequest {
  pools: () => Promise<MediaWorker[]>;
  /** Names of all pods of media nodes. */
  pods: () => string[] | Promise<string[]>;
  /** Addresses that answer 200 while a service is ready. */
  readinessUrls: string[];
}

/** How long the platform may take until it has recovered, and the pause between two looks, in milliseconds. */
const wait = { timeoutMs: 180_000, intervalMs: 300 };

/** @throws Error that names what is not as it should be */
async function look({ pools, pods, readinessUrls }: SteadyRequest): Promise<true> {
  for (const url of readinessUrls) {
    const { ok } = await fetch(url, { signal: AbortSignal.timeout(1000) });
    if (!ok) throw new Error(`${url} is not ready`);
  }
  let wanted = 0;
  for (const { metadata, spec, status } of await pools()) {
    wanted += spec.replicas;
    const seen = status?.observedGeneration === metadata.generation;
    if (!seen || status.readyReplicas !== spec.replicas)
      throw new Error(`pool ${metadata.name}: ${status?.readyReplicas ?? 0} of ${spec.replicas}`);
    for (const type of ['Ready', 'Updated'])
      if (!isConditionTrue(status.conditions, type))
        throw new Error(`pool ${metadata.name} is not ${type}`);
  }
  const running = await pods();
  if (running.length !== wanted)
    throw new Error(`${wanted} media nodes are wanted, there are ${running.join(', ')}`);
  return true;
}

/** Waits until every service is ready, and every pool has its nodes, all of the newest shape, and no others. */
export async function waitUntilSteady(request: SteadyRequest): Promise<void> {
  await until('the platform to be steady', () => look(request), wait);
}
