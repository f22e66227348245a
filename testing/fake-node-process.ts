/** A process that behaves as a media node does towards its supervisor, configured by the same environment. */
import type { NodeRole } from '../common/wire/media-node.ts';
import { FakeNode } from './fake-node.ts';

const env = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

const node = new FakeNode({
  podName: env('POD_NAME'),
  pool: env('POOL'),
  role: env('ROLE') as NodeRole,
  secret: env('SERVICE_SECRET'),
  workers: Number(env('RTC_WORKERS')),
  host: env('POD_IP'),
  port: Number(env('API_PORT')),
});

const end = (): void => {
  void node.stop().then(() => process.exit(0));
};
process.on('SIGTERM', end);
process.on('disconnect', end);
await node.start();
