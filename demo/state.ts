import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { Platform, ReplicaAddress } from './platform.ts';

/** Where the demo keeps its configuration, logs and resources; two demos side by side need another. */
export const demoDir = path.resolve(
  process.env['DEMO_DIR'] ?? path.join(import.meta.dirname, '../.run/demo'),
);
export const stateFile = path.join(demoDir, 'state.json');

/** What the running demo leaves for `make demo-status`. */
export interface DemoState {
  pid: number;
  pageUrl: string;
  operatorUrl: string;
  kubeconfig: string;
  /** Key of internal calls: the file is its owner's alone. */
  serviceSecret: string;
  postgresPid: number | undefined;
  children: { name: string; pid: number }[];
  replicas: ReplicaAddress[];
}

/** Writes it anew: a service that was started again has another process id. */
export async function writeState(platform: Platform, pageUrl: string): Promise<void> {
  const { operatorUrl, kubeconfig, serviceSecret, postgresPid, children, replicas } = platform;
  const state: DemoState = {
    pid: process.pid,
    pageUrl,
    operatorUrl,
    kubeconfig,
    serviceSecret,
    postgresPid,
    children: children.map(({ name, pid }) => ({ name, pid: pid() ?? 0 })),
    replicas,
  };
  await writeFile(stateFile, JSON.stringify(state), { mode: 0o600 });
}
