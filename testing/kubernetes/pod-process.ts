import { randomInt } from 'node:crypto';

import type { NodeRole } from '../../common/wire/media-node.ts';
import { apiPortName, mediaContainer, type EnvVar, type Pod } from '../../operator/cluster.ts';
import { FakeNode } from '../fake-node.ts';

/** How many addresses are tried for a pod; other processes of the tests take theirs from the same network. */
const addressAttempts = 20;

/** Loopback addresses of a part of 127.0.0.0/8 that other processes hardly use. */
export class LoopbackAddresses {
  readonly #network = randomInt(2, 255);
  #last = 0;

  next(): string {
    this.#last += 1;
    return `127.${this.#network}.${Math.floor(this.#last / 250) % 250}.${(this.#last % 250) + 1}`;
  }
}

/** What a pod's process finds in its environment. */
function resolve(variable: EnvVar, fields: Record<string, string>): string {
  if (!('valueFrom' in variable)) return 'value' in variable ? variable.value : '';
  return fields[variable.valueFrom.fieldRef?.fieldPath ?? ''] ?? '';
}

const isAddressTaken = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'EADDRINUSE';

export interface PodProcessOptions {
  pod: Pod;
  hostIP: string;
  secret: string;
  addresses: LoopbackAddresses;
}

/** Starts a media node without media for a pod, at an address of its own or, with `hostNetwork`, at that of its machine. */
export async function startPodProcess(
  options: PodProcessOptions,
): Promise<{ node: FakeNode; podIP: string }> {
  const { pod, hostIP, addresses } = options;
  for (let attempt = 1; ; attempt++) {
    const podIP = pod.spec.hostNetwork ? hostIP : addresses.next();
    const node = createNode(options, podIP);
    try {
      await node.start();
      return { node, podIP };
    } catch (error) {
      if (pod.spec.hostNetwork || !isAddressTaken(error) || attempt >= addressAttempts) throw error;
    }
  }
}

function createNode({ pod, hostIP, secret }: PodProcessOptions, podIP: string): FakeNode {
  const container = mediaContainer(pod);
  const fields = {
    'metadata.name': pod.metadata.name,
    'status.podIP': podIP,
    'status.hostIP': hostIP,
  };
  const env = Object.fromEntries(
    container.env.map((variable) => [variable.name, resolve(variable, fields)]),
  );
  const announcedAddress = env['ANNOUNCED_ADDRESS'];
  return new FakeNode({
    podName: env['POD_NAME'] ?? '',
    pool: env['POOL'] ?? '',
    role: env['ROLE'] as NodeRole,
    workers: Number(env['RTC_WORKERS']),
    secret,
    host: podIP,
    port: container.ports.find(({ name }) => name === apiPortName)?.containerPort ?? 0,
    ...(announcedAddress ? { announcedAddress } : {}),
  });
}
