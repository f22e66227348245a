import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import type { Clock } from '../runtime/clock.ts';
import type { InstanceRegistry, InstanceSweeper } from './sweeper.ts';

export interface AuditDeps {
  registry: InstanceRegistry;
  sweeper: InstanceSweeper;
  nodes: () => readonly ObservedNode[];
  intervalMs: number;
  clock: Clock;
  logger: Logger;
}

interface Listing {
  at: number;
  rows: { instanceId: string; podName: string }[];
}

/**
 * Which instances of an earlier listing are over: their pod is gone, or another instance has answered from it since. An
 * answer from before the listing proves nothing, since the listed instance may be the newer one.
 */
export function findEnded({ at, rows }: Listing, nodes: readonly ObservedNode[]): string[] {
  return rows
    .filter(({ instanceId, podName }) => {
      const onPod = nodes.filter(({ pod }) => pod.metadata.name === podName);
      return onPod.every(
        ({ instance }) => instance && instance.answeredAt > at && instance.id !== instanceId,
      );
    })
    .map(({ instanceId }) => instanceId);
}

/** Finds rows of instances that ended while no operator looked: each listing is judged one interval later. */
export class InstanceAudit {
  readonly #deps: AuditDeps;
  #last: Listing = { at: 0, rows: [] };
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(deps: AuditDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { clock, intervalMs } = this.#deps;
    this.#running = this.run().finally(() => {
      if (!this.#closed) this.#cancel = clock.schedule(intervalMs, () => this.start());
    });
  }

  async run(): Promise<void> {
    const { registry, sweeper, nodes, clock, logger } = this.#deps;
    for (const id of findEnded(this.#last, nodes())) sweeper.remove(id);
    const at = clock.now();
    const rows = await registry.listInstances().catch((error: unknown) => {
      logger.warn({ reason: messageOf(error) }, 'could not list instances');
      return [];
    });
    this.#last = { at, rows };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }
}
