import path from 'node:path';

import type { ReplicaAddress } from './platform.ts';

/** Where the demo keeps its configuration, logs and resources. */
export const demoDir = path.resolve(import.meta.dirname, '../.run/demo');
export const stateFile = path.join(demoDir, 'state.json');

/** What the running demo leaves for `make demo-status`. */
export interface DemoState {
  pid: number;
  pageUrl: string;
  operatorUrl: string;
  kubeconfig: string;
  children: { name: string; pid: number }[];
  replicas: ReplicaAddress[];
}
