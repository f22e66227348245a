import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { createKnex } from '../../common/db/knex.ts';
import { ApiError } from '../../common/errors.ts';
import { KubernetesClient, type KubernetesClientConfig } from '../../common/kubernetes/client.ts';
import { kubernetesKeys } from '../../common/kubernetes/config.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import type { OperatorConfig } from '../config.ts';
import { examine, type Compared } from './examine.ts';
import type { AuditSources, Unreachable } from './look.ts';
import { objectsOfNodes } from './nodes.ts';
import { readLocalResources, readResources } from './resources.ts';
import type { ResourcesView } from './snapshot.ts';
import { readTables } from './tables.ts';
import { DifferenceTracker, type Difference } from './tracker.ts';

export interface AuditReport {
  differences: Difference[];
  /** What could not be looked at; nothing is said about what is there. */
  unreachable: Unreachable[];
  compared: Compared;
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
      const { findings, limits, ...examined } = await examine(sources, config);
      const differences = findings ? tracker.note(findings, performance.now(), limits) : [];
      return { ...examined, differences, mustLast: findings !== undefined && findings.length > 0 };
    };
    let last = await look();
    if (graceMs > 0 && last.mustLast) {
      await sleep(graceMs + timerSlackMs);
      last = await look();
    }
    const { differences, unreachable, compared } = last;
    return { differences, unreachable, compared };
  } finally {
    await close();
  }
}

/** A timer may fire this much before its time. */
const timerSlackMs = 5;
