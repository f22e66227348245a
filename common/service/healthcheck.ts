import { ApiError, messageOf } from '../errors.ts';
import type { ListenAddress } from './http.ts';

/** Where a process on the same machine reaches what listens on every address. */
const everyAddress: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

function healthUrl({ host, port }: ListenAddress): string {
  if (port === 0)
    throw new ApiError(
      'invalid_request',
      'healthcheck: the configured port is 0, so nobody knows which one to ask; expected a fixed port',
    );
  const name = everyAddress[host] ?? host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}/healthz`;
}

async function statusOf(url: string, timeoutMs: number): Promise<number> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(timeoutMs),
      // Nothing is to stay open that would keep this process.
      headers: { connection: 'close' },
    });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause ?? error;
    throw new Error(`unhealthy: ${url}: ${messageOf(cause)}`, { cause: error });
  }
}

/**
 * Asks the service that runs beside this process, with the same configuration, whether it is well; prints the answer in
 * a line.
 *
 * @param timeoutMs how long the answer may take, in milliseconds
 * @throws Error whose message is a line that begins with `unhealthy`; {@link ApiError} `invalid_request` for port 0
 */
export async function healthcheck(listen: ListenAddress, timeoutMs: number): Promise<void> {
  const url = healthUrl(listen);
  const status = await statusOf(url, timeoutMs);
  if (status !== 200) throw new Error(`unhealthy: ${url} answered ${status}`);
  process.stdout.write(`healthy: ${url}\n`);
}
