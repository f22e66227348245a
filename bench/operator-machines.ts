/**
 * The machines of the operator part, in a process of their own, so that what they cost is not taken for the operator's: as many
 * Kubernetes nodes as media nodes, each of which answers as a media node does over HTTP and carries no media.
 */
import { parseArgs } from 'node:util';

import { pino } from 'pino';

import { KubernetesClient } from '../common/kubernetes/client.ts';
import { runMain } from '../common/service/lifecycle.ts';
import { Kubelets } from '../testing/kubernetes/kubelet.ts';

const clientTimes = {
  requestTimeoutMs: 60_000,
  watchTimeoutMs: 60_000,
  watchStallMs: 30_000,
  listPageSize: 500,
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { kubeconfig: { type: 'string' }, machines: { type: 'string' } },
  });
  const secret = process.env['SERVICE_SECRET'];
  if (!values.kubeconfig || !secret) throw new Error('needs --kubeconfig and SERVICE_SECRET');
  const config = { ...clientTimes, kubeconfig: values.kubeconfig };
  const client = new KubernetesClient({ config });
  const logger = pino({ level: 'warn' });
  const kubelets = await new Kubelets({ client, secret, logger }).start();
  for (let i = 0; i < Number(values.machines); i++) await kubelets.addNode(`machine-${i}`);
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}

runMain(main);
