import type { OperatorOptions } from './operator.ts';

export interface ServiceOptions extends Omit<OperatorOptions, 'cluster' | 'fence'> {
  /** Called when another operator may act from now on, or none can here: the process must end at once. */
  onFatal: (why: string) => void;
}

/** The operator on whichever cluster its configuration names. */
export interface Service {
  /** What keeps it from being ready; a standby is ready when it could take over. */
  waitingFor: () => string[];
  /** For the log. */
  about: Record<string, unknown>;
  close(): Promise<void>;
}

/** Loads the adapter that is asked for alone: each brings tens of megabytes of libraries that the other has no use for. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { kubernetes, local } = options.config;
  if (kubernetes) {
    const { startOnKubernetes } = await import('./kubernetes/service.ts');
    return startOnKubernetes(options, kubernetes);
  }
  if (local) {
    const { startLocally } = await import('./local/service.ts');
    return startLocally(options, local);
  }
  throw new Error('config: exactly one of kubernetes and local must be set');
}
