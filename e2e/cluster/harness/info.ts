import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { messageOf } from '../../../common/errors.ts';

const root = path.resolve(import.meta.dirname, '../../..');
/** Written by `make cluster`. */
const infoFile = path.join(root, '.run/cluster/info.json');

const Info = z.object({
  /** `native` and `kind` are made by `make cluster`; `external` is whatever KUBECONFIG leads to. */
  kind: z.enum(['native', 'kind', 'external']),
  kubeconfig: z.string().min(1),
  /** Where host names of the ingress lead to: an IP address. */
  ingressAddress: z.string().min(1),
  /** Names of the nodes that pods are scheduled to. */
  nodes: z.array(z.string().min(1)).min(1),
});

/** The cluster that the suite runs on. */
export type ClusterInfo = z.infer<typeof Info>;

/**
 * Reads what `make cluster` has written about its cluster.
 *
 * @throws Error that names the file and what is wrong with it
 */
export async function readClusterInfo(file = infoFile): Promise<ClusterInfo> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`no cluster: ${messageOf(error)} (make cluster writes it)`);
  });
  const parsed = Info.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
