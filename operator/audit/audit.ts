import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { createKnex } from '../../common/db/knex.ts';
import { ApiError } from '../../common/errors.ts';
import { KubernetesClient, type KubernetesClientConfig } from '../../common/kubernetes/client.ts';
import { kubernetesKeys } from '../../common/kubernetes/config.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import type { OperatorConfig } from '../config.ts';
import { judge } from './judge.ts';
import { takeLook, type AuditSources, type Unreachable } from './look.ts';
import { objectsOfNodes } from './nodes.ts';
import { readLocalResources, readResources } from './resources.ts';
import type { ResourcesView, Snapshot, TablesView } from './snapshot.ts';
import { readTables } from './tables.ts';
import { DifferenceTracker, type Difference } from './tracker.ts';

/** How much was compared: nothing to compare is no proof of anything. */
export interface Compared {
  rooms: number;
  nodes: number;
  peers: number;
  /** Rows of all tables. */
  rows: number;
  /** Live objects of all nodes. */
  objects: number;
}

export interface AuditReport {
  differences: Difference[];
  /** What could not be looked at; nothing is said about what is there. */
  unreachable: Unreachable[];
  compared: Compared;
}

const sizes = (view: object): number[] =>
  Object.values(view).flatMap((value: unknown) => (Array.isArray(value) ? [value.length] : []));
const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

export function countCompared(snapshot: Snapshot | undefined): Compared {
  const nodes = snapshot?.nodes ?? [];
  const tables: Partial<TablesView> = snapshot?.tables ?? {};
  return {
    rooms: snapshot?.resources.rooms.length ?? 0,
    nodes: nodes.length,
    peers: tables.peers?.length ?? 0,
    rows: sum(sizes(tables)),
    objects: sum(
      nodes.flatMap(
        ({ routers, transports, producers, dataProducers, consumers, dataConsumers, pipes }) =>
          sizes({ routers, transports, producers, dataProducers, consumers, dataConsumers, pipes }),
      ),
    ),
  };
}

interface Opened {
  sources: AuditSources;
  close: () => Promise<void>;
}

const localClient = z.strictObject(kubernetesKeys);

/** Opens what the configuration of an operator names, beside that operator. */
function open(config: OperatorConfig): Opened {
  const { database, kubernetes, local, nodes } = config;
  if (!database)
    throw new ApiError('invalid_request', 'config: database: expected a section with the key url');
  const clientConfig: KubernetesClientConfig =
    kubernetes ?? localClient.parse({ kubeconfig: local?.api.kubeconfig });
  // Made when it is asked: a file that can't be read is a place that can't be looked at.
  let client: KubernetesClient | undefined;
  const readAll = async (): Promise<ResourcesView> => {
    client ??= new KubernetesClient({ config: clientConfig });
    return kubernetes ? readResources(client, kubernetes.namespace) : readLocalResources(client);
  };
  const knex = createKnex(database);
  return {
    sources: {
      resources: readAll,
      tables: () => readTables(knex),
      objects: objectsOfNodes(config, createServiceMetrics()),
      concurrency: nodes.concurrency,
    },
    close: async () => {
      await Promise.all([client?.close(), knex.destroy()]);
    },
  };
}

export interface AuditOptions {
  /** How far apart the two looks are, in milliseconds; 0: one look, which shows things in the making as well. */
  graceMs?: number;
}

/**
 * Compares everything once, from outside of the running services: one look, and where it shows anything a second one,
 * `graceMs` later, to tell what lasts.
 *
 * @param config the operator's own configuration
 * @param options.graceMs default: `audit.graceMs` of the configuration
 * @returns what could not be looked at is in the report; it is no error
 * @throws {ApiError} `invalid_request` without `database`
 */
export async function auditPlatform(
  config: OperatorConfig,
  { graceMs = config.audit.graceMs }: AuditOptions = {},
): Promise<AuditReport> {
  const { sources, close } = open(config);
  try {
    const tracker = new DifferenceTracker(graceMs);
    const look = async () => {
      const taken = await takeLook(sources);
      const differences = judge(taken, tracker, { config, at: performance.now() });
      return { taken, differences };
    };
    let last = await look();
    if (graceMs > 0 && last.taken.snapshot && !tracker.isEmpty) {
      await sleep(graceMs + timerSlackMs);
      last = await look();
    }
    const { snapshot, unreachable } = last.taken;
    return { differences: last.differences, unreachable, compared: countCompared(snapshot) };
  } finally {
    await close();
  }
}

/** A timer may fire this much before its time. */
const timerSlackMs = 5;
