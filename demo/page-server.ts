import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { createPageHandler, sendText, type PageOptions } from '../common/service/page.ts';

export interface PageServerOptions extends PageOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** PEM texts; with them the page is served over https. */
  tls?: { key: string; cert: string } | undefined;
}

export interface PageServer {
  port: number;
  close(): Promise<void>;
}

/** Serves the page and nothing else. */
function createListener(options: PageServerOptions) {
  const handle = createPageHandler(options);
  return (request: IncomingMessage, response: ServerResponse): void => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      sendText(response, 405, 'text/plain', 'Only GET and HEAD are answered here.\n');
    } else handle(request, response, () => sendText(response, 404, 'text/plain', 'Not found.\n'));
  };
}

/**
 * Serves the page for as long as it is not closed.
 *
 * @throws where the port cannot be listened on
 */
export async function startPageServer(options: PageServerOptions): Promise<PageServer> {
  const { host, port, tls } = options;
  const listener = createListener(options);
  const server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
  server.listen(port, host);
  await once(server, 'listening');
  let closing: Promise<unknown> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      if (!closing) {
        closing = once(server, 'close');
        server.close();
        server.closeAllConnections();
      }
      await closing;
    },
  };
}
