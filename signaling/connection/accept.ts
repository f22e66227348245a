import { readFileSync } from 'node:fs';

import type Koa from 'koa';
import websockify, { type WebSocketApp } from 'koa-websocket';
import type { ServerOptions } from 'ws';

import type { Services } from '../services.ts';
import { closeCodes } from './close-codes.ts';
import { createHandshake, subprotocol } from './handshake.ts';
import { Session } from './session.ts';

/** Lets clients connect to this application by WebSocket. @returns the same application, listening over TLS if configured */
export function acceptWebSockets(app: Koa, services: Services): WebSocketApp {
  const { config, logger } = services;
  const { verifyClient, verdictOn } = createHandshake(services);
  const options: ServerOptions = {
    maxPayload: config.websocket.maxFrameBytes,
    perMessageDeflate: false,
    verifyClient,
    handleProtocols: () => subprotocol,
  };
  const { tls } = config.public;
  const withWebSocket = tls
    ? websockify(app, options, {
        cert: readFileSync(tls.certFile),
        key: readFileSync(tls.keyFile),
      })
    : websockify(app, options);
  withWebSocket.ws.use((ctx) => {
    // The upgrade is done and nobody above would close the socket.
    try {
      const admission = verdictOn(ctx.req);
      if (!admission) throw new Error('a WebSocket without admission');
      if (admission === 'session lost')
        ctx.websocket.close(closeCodes.sessionLost, 'there is no such session');
      else new Session(services, { socket: ctx.websocket, stream: ctx.req.socket }, admission);
    } catch (error) {
      logger.error({ err: error }, 'unexpected error on a new connection');
      ctx.websocket.close(closeCodes.internalError, 'internal error');
    }
    return Promise.resolve();
  });
  return withWebSocket;
}
