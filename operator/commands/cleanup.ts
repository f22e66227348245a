import { setTimeout as sleep } from 'node:timers/promises';

import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import { KubernetesClient } from '../../common/kubernetes/client.ts';
import { KubernetesError } from '../../common/kubernetes/errors.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import type { KubernetesObject } from '../../common/resources/types.ts';
import type { KubernetesConfig, OperatorConfig } from '../config.ts';

type Kind = 'mediarooms' | 'mediaworkers';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** Names in the message that says what is left; there may be thousands of rooms. */
const namesShown = 20;

const gone = (error: unknown): boolean =>
  error instanceof KubernetesError && error.statusCode === 404;

/** Deletes the rooms and pools of one namespace, look by look. */
class Cleaner {
  readonly #client: KubernetesClient;
  readonly #namespace: string;
  /** Uids of the rooms that the first look found. */
  #first: Set<string | undefined> | undefined;

  constructor(client: KubernetesClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /**
   * Deletes all rooms, and all pools once the rooms of the first look are gone. Clients come back while the signaling
   * service still runs and make rooms anew, so later rooms are deleted too but not waited for: without a pool there will
   * be no more of them, and no peer keeps a node from draining.
   *
   * @returns what is left
   */
  async look(): Promise<string[]> {
    const rooms = await this.#list('mediarooms');
    const first = (this.#first ??= new Set(rooms.map(({ metadata }) => metadata.uid)));
    await this.#delete('mediarooms', rooms);
    const pools = await this.#list('mediaworkers');
    if (!rooms.some(({ metadata }) => first.has(metadata.uid)))
      await this.#delete('mediaworkers', pools);
    return [
      ...rooms.map(({ metadata }) => `mediarooms/${metadata.name}`),
      ...pools.map(({ metadata }) => `mediaworkers/${metadata.name}`),
    ];
  }

  /** Nothing, where even the kind is not there. */
  async #list(kind: Kind): Promise<KubernetesObject[]> {
    try {
      const path = collectionPath(resourceTypes[kind], this.#namespace);
      return (await this.#client.list<KubernetesObject>(path)).items;
    } catch (error) {
      if (gone(error)) return [];
      throw error;
    }
  }

  /** Asks for the deletion of those for which nobody has asked yet. */
  async #delete(kind: Kind, objects: KubernetesObject[]): Promise<void> {
    for (const { metadata } of objects) {
      if (metadata.deletionTimestamp) continue;
      const ref = { namespace: this.#namespace, name: metadata.name };
      try {
        await this.#client.call({ method: 'DELETE', path: objectPath(resourceTypes[kind], ref) });
        say(`deleting ${kind}/${metadata.name}`);
      } catch (error) {
        if (!gone(error)) throw error;
      }
    }
  }
}

const namesOf = (left: string[]): string => {
  const more = left.length - namesShown;
  return left.slice(0, namesShown).join(', ') + (more > 0 ? ` and ${more} more` : '');
};

function placeOf(kubernetes: KubernetesConfig | undefined): KubernetesConfig & {
  namespace: string;
} {
  const namespace = kubernetes?.namespace;
  if (!kubernetes || namespace === undefined)
    throw new ApiError(
      'invalid_request',
      'config: kubernetes.namespace: expected the namespace to clean; this never deletes in all of them',
    );
  return { ...kubernetes, namespace };
}

/** @throws {ApiError} `invalid_request` */
function timeoutOf(seconds: string | undefined, fallbackMs: number): number {
  if (seconds === undefined) return fallbackMs;
  if (!/^[1-9]\d{0,5}$/.test(seconds))
    throw new ApiError(
      'invalid_request',
      `--timeout: expected a whole number of seconds, not "${seconds}"`,
    );
  return Number(seconds) * 1000;
}

async function cleanUntil(cleaner: Cleaner, timeoutMs: number, pollMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let problem: string;
    try {
      const left = await cleaner.look();
      if (left.length === 0) return;
      problem = `left after ${timeoutMs / 1000} s: ${namesOf(left)}; a running operator takes their finalizers off`;
    } catch (error) {
      if (!isApiError(error) || !error.retryable) throw error;
      problem = messageOf(error);
    }
    if (Date.now() + pollMs >= deadline) throw new ApiError('timed_out', problem);
    await sleep(pollMs);
  }
}

/**
 * Deletes every room and then every pool of the namespace that the operator looks after, and waits until a running
 * operator has undone what belongs to them. May be repeated.
 *
 * @param timeoutSeconds how long that may take; default: `cleanup.timeoutMs` of the configuration
 * @throws {ApiError} `timed_out`, naming what is left; `invalid_request`; what the Kubernetes API refuses
 */
export async function runCleanup(config: OperatorConfig, timeoutSeconds?: string): Promise<void> {
  const timeoutMs = timeoutOf(timeoutSeconds, config.cleanup.timeoutMs);
  const kubernetes = placeOf(config.kubernetes);
  const client = new KubernetesClient({ config: kubernetes });
  try {
    const cleaner = new Cleaner(client, kubernetes.namespace);
    await cleanUntil(cleaner, timeoutMs, config.cleanup.pollMs);
    say(`no rooms and pools are left in the namespace ${kubernetes.namespace}`);
  } finally {
    await client.close();
  }
}
