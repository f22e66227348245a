import type { Cluster, Manifest, Pod } from './cluster.ts';

/** How long a connection is tried, in milliseconds: within one cluster it takes some. */
const connectMs = 2500;

/** An address that a pod tries to connect to. */
export interface Target {
  name: string;
  host: string;
  port: number;
}

/**
 * Tries to connect from inside a pod.
 *
 * @returns the names of the targets that it reached
 */
export async function reachedFrom(
  cluster: Cluster,
  pod: Pod,
  targets: Target[],
): Promise<string[]> {
  const script = `
import net from 'node:net';
const reached = ({ host, port }) => new Promise((resolve) => {
  const socket = net.connect({ host, port, timeout: ${connectMs} });
  const end = (answer) => { socket.destroy(); resolve(answer); };
  socket.on('connect', () => end(true));
  socket.on('error', () => end(false));
  socket.on('timeout', () => end(false));
});
const targets = ${JSON.stringify(targets)};
const answers = await Promise.all(targets.map(reached));
console.log(JSON.stringify(targets.filter((_, i) => answers[i]).map(({ name }) => name)));`;
  return JSON.parse(await cluster.exec(pod, script)) as string[];
}

const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** A pod that listens on a port and belongs to nobody. */
export function stranger(name: string, namespace: string, image: string, port = 8888): Manifest {
  const script = `require('net').createServer((socket) => socket.end()).listen(${port})`;
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: 'node', image, command: ['node', '--eval', script], securityContext: restricted },
      ],
    },
  };
}

/** Allows the pods of a namespace to be reached by nobody. */
export const denyAll = (namespace: string): Manifest => ({
  ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  metadata: { name: 'deny-all', namespace },
  spec: { podSelector: {}, policyTypes: ['Ingress'] },
});
