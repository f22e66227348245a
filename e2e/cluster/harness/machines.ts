import path from 'node:path';

import { runCommand } from '../../../testing/command.ts';
import type { Cluster } from './cluster.ts';

/** Does something to a machine of a cluster that `make cluster` made. */
export const nodeCommand = path.resolve(import.meta.dirname, '../../../scripts/cluster/node.sh');

/** Why the suite can't take a machine's network away; undefined where it can. */
export const machinesMissing = (cluster: Cluster): string | undefined =>
  cluster.info.kind === 'external'
    ? 'a cluster given by KUBECONFIG lends its machines to nobody'
    : undefined;

/** Cuts a machine off the network, as if its cable were pulled; what runs on it runs on. */
export const cutOff = (node: string): Promise<string> => runCommand(nodeCommand, ['cut', node]);

/** Plugs the cable in again. Does nothing to a machine that has its network. */
export const mend = (node: string): Promise<string> => runCommand(nodeCommand, ['mend', node]);
