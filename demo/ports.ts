import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { ApiError } from '../common/errors.ts';

/** A TCP port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** @throws ApiError when somebody listens there already, naming what sets the port */
export async function assertFree(port: number, variable: string): Promise<void> {
  const probe = createServer();
  const taken = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(true));
    probe.listen(port, '127.0.0.1', () => resolve(false));
  });
  if (taken)
    throw new ApiError('invalid_request', `port ${port} is taken; choose another with ${variable}`);
  probe.close();
  await once(probe, 'close');
}
