import type {
  BudgetClient,
  EventNote,
  EventRecorder,
  KubernetesNode,
  NodeReader,
  PodDisruptionBudget,
  WatchEvent,
} from '../operator/cluster.ts';

/** Kubernetes nodes in memory. */
export class FakeMachines implements NodeReader {
  readonly #machines = new Map<string, KubernetesNode>();
  readonly #listeners = new Set<(event: WatchEvent<KubernetesNode>) => void>();

  get(name: string): KubernetesNode | undefined {
    return this.#machines.get(name);
  }

  watch(listener: (event: WatchEvent<KubernetesNode>) => void): () => void {
    for (const object of this.#machines.values()) listener({ type: 'ADDED', object });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(
    name: string,
    {
      cordoned = false,
      addresses = {},
    }: { cordoned?: boolean; addresses?: Record<string, string> },
  ): void {
    const type = this.#machines.has(name) ? 'MODIFIED' : 'ADDED';
    const object: KubernetesNode = {
      metadata: { name, uid: name, resourceVersion: '1' },
      spec: cordoned ? { unschedulable: true } : {},
      status: {
        addresses: Object.entries(addresses).map(([kind, address]) => ({ type: kind, address })),
      },
    };
    this.#machines.set(name, object);
    for (const listener of this.#listeners) listener({ type, object });
  }
}

/** Keeps the Events that the operator records. */
export class RecordedEvents implements EventRecorder {
  readonly all: (EventNote & { name: string })[] = [];

  record(...[{ metadata }, event]: Parameters<EventRecorder['record']>): void {
    this.all.push({ name: metadata.name, ...event });
  }

  /** The notes with this reason, oldest first. */
  notes(reason: string): string[] {
    return this.all.filter((event) => event.reason === reason).map(({ note }) => note);
  }
}

/** Keeps the disruption budgets that the operator applies. */
export class AppliedBudgets implements BudgetClient {
  readonly all = new Map<string, PodDisruptionBudget>();
  /** What an apply fails with. */
  failure: Error | undefined;

  apply(budget: PodDisruptionBudget): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    this.all.set(budget.metadata.name, budget);
    return Promise.resolve();
  }
}
