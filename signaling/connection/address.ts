import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** IPv4 addresses of a socket that listens on IPv6 too come as `::ffff:1.2.3.4`. */
const plain = (address: string): string => address.replace(/^::ffff:/, '');

/**
 * The client's address: the socket's, or with `trustedProxies` in front the one that the outermost of them saw. What
 * stands further left in X-Forwarded-For was written by the client.
 */
export function remoteAddressOf(
  request: Pick<IncomingMessage, 'headers' | 'socket'>,
  trustedProxies: number,
): string {
  const own = request.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return plain(own);
  const forwarded = [request.headers['x-forwarded-for'] ?? []]
    .flat()
    .join(',')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return plain(forwarded.at(-Math.min(trustedProxies, forwarded.length)) ?? own);
}

/** Counts sockets by client address; one counts until it is closed, whatever becomes of its upgrade. */
export function createAddressLimit(limit: number) {
  const open = new Map<string, number>();
  return {
    take(address: string, socket: Pick<Socket, 'once'>): boolean {
      const count = open.get(address) ?? 0;
      if (count >= limit) return false;
      open.set(address, count + 1);
      socket.once('close', () => {
        const left = (open.get(address) ?? 1) - 1;
        if (left > 0) open.set(address, left);
        else open.delete(address);
      });
      return true;
    },
  };
}
