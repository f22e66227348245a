import { randomBytes } from 'node:crypto';
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';

import { WebSocket } from 'ws';
import { z } from 'zod';

import { ApiError, messageOf } from '../../common/errors.ts';
import { signRoomToken } from '../auth/room-token.ts';
import type { SignalingConfig } from '../config.ts';
import { subprotocol } from '../connection/handshake.ts';
import { roomNameOf } from '../placement/room-name.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const peer = 'check';
/** Life of the tokens: of one check. */
const tokenSeconds = 120;

const answer = z.object({
  response: z.literal(true),
  ok: z.boolean().optional(),
  errorReason: z.string().optional(),
  data: z
    .object({ routerRtpCapabilities: z.object({ codecs: z.array(z.unknown()).min(1) }) })
    .optional(),
});
const refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

export interface CheckOptions {
  /** Where clients reach the service, such as `https://meet.example.com`. */
  url: string;
  /** PEM file of a certificate authority to trust besides the usual ones. */
  ca?: string | undefined;
}

/** What one check talks with. */
interface Target {
  base: URL;
  ca: string | undefined;
  signal: AbortSignal;
}

interface HttpAnswer {
  status: number;
  type: string;
  text: string;
}

function baseOf(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (!base || !/^https?:$/.test(base.protocol))
    throw new ApiError('invalid_request', `--url: expected http://… or https://…, not "${url}"`);
  return base;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

async function ask(
  { base, ca, signal }: Target,
  path: string,
  { method = 'GET', token }: { method?: 'GET' | 'DELETE'; token?: string } = {},
): Promise<HttpAnswer> {
  const url = new URL(path, base);
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  try {
    const request = send(url, {
      ...{ method, signal, ca, agent: false },
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const { statusCode = 0, headers } = response;
    const text = await textOf(response);
    return { status: statusCode, type: headers['content-type'] ?? '', text };
  } catch (error) {
    throw new Error(`${method} ${url.href}: ${messageOf(error)}`, { cause: error });
  }
}

async function checkHealth(target: Target): Promise<void> {
  const { status } = await ask(target, '/healthz');
  if (status !== 200) throw new Error(`${target.base.href} is not healthy: it answered ${status}`);
  say('healthy');
}

async function checkPage(target: Target): Promise<void> {
  const { status, type } = await ask(target, '/');
  if (status === 404) say('serves no page');
  else if (status === 200 && type.startsWith('text/html')) say('serves the page');
  else throw new Error(`the page: answered ${status} with ${type}`);
}

/** Why a WebSocket did not open, in the service's own words where it has some. */
async function refusalOf(response: IncomingMessage): Promise<string> {
  const text = await textOf(response);
  try {
    const { code, message } = refusal.parse(JSON.parse(text)).error;
    return code === 'room_not_found'
      ? `${message}; expected spec.rooms.createOnJoin: true in a MediaWorker`
      : `${code}: ${message}`;
  } catch {
    return `answered ${response.statusCode ?? 0} in place of the service; does what is in front pass WebSockets on?`;
  }
}

async function openSocket(target: Target, room: string, token: string): Promise<WebSocket> {
  const url = new URL('/', target.base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  for (const [key, value] of Object.entries({ roomId: room, peerId: peer, token }))
    url.searchParams.set(key, value);
  const socket = new WebSocket(url, subprotocol, { ca: target.ca });
  const refused = new Promise<never>((_resolve, reject) => {
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      void refusalOf(response).then((why) => reject(new Error(`joining a room: ${why}`)), reject);
    });
    // The signal ends the attempt, and `once` throws then; with a listener, nothing is unheard.
    socket.on('error', () => undefined);
  });
  try {
    await Promise.race([once(socket, 'open', { signal: target.signal }), refused]);
    return socket;
  } catch (error) {
    socket.terminate();
    throw error;
  }
}

async function checkJoin(target: Target, room: string, token: string): Promise<void> {
  const socket = await openSocket(target, room, token);
  try {
    const method = 'getRouterRtpCapabilities';
    socket.send(JSON.stringify({ request: true, id: 1, method, data: {} }));
    const messages = on(socket, 'message', { signal: target.signal, close: ['close'] });
    for await (const [data] of messages as AsyncIterable<[Buffer]>) {
      const parsed = answer.safeParse(JSON.parse(data.toString()));
      // What else the service tells a new peer.
      if (!parsed.success) continue;
      const codecs = parsed.data.data?.routerRtpCapabilities.codecs.length;
      if (codecs === undefined)
        throw new Error(`a room's router: ${parsed.data.errorReason ?? 'no capabilities'}`);
      say(`joined a room whose router has ${codecs} codecs`);
      return;
    }
    throw new Error('the service closed the connection before it told the router’s capabilities');
  } finally {
    // The service leaves the room for a peer that closes; there is nothing to wait for.
    socket.close(1000);
  }
}

/** Deletes the room of this check; where no join has made it, there is none. */
async function leave(target: Target, room: string, token: string): Promise<void> {
  const path = `/api/rooms/${roomNameOf(room)}`;
  const { status, text } = await ask(target, path, { method: 'DELETE', token });
  if (status >= 300 && status !== 404)
    throw new Error(`the room ${room} could not be deleted: ${status} ${text}`);
}

/**
 * Checks a running platform from outside, as a client: the service answers, and a join makes a room and gets the
 * capabilities of its router. The room is deleted in the end. Prints a line for each step.
 *
 * @throws Error whose message is a line that says what is wrong; {@link ApiError} `invalid_request` for wrong options
 */
export async function runCheck(config: SignalingConfig, { url, ca }: CheckOptions): Promise<void> {
  const base = baseOf(url);
  const pem = ca === undefined ? undefined : readFileSync(ca, 'utf8');
  const { timeoutMs } = config.check;
  const target: Target = {
    base,
    ca: pem,
    signal: AbortSignal.timeout(timeoutMs),
  };
  const room = `check-${randomBytes(6).toString('hex')}`;
  const token = await signRoomToken({
    ...{ secret: config.roomAuth.secret, room, peer, ttlSeconds: tokenSeconds },
    grants: { admin: true },
  });
  try {
    await checkHealth(target);
    await checkPage(target);
    await checkJoin(target, room, token).catch(async (error: unknown) => {
      const after = { ...target, signal: AbortSignal.timeout(timeoutMs) };
      await leave(after, room, token).catch(() => undefined);
      throw error;
    });
    await leave(target, room, token);
  } catch (error) {
    if (!target.signal.aborted) throw error;
    throw new ApiError('timed_out', `the check did not end within ${timeoutMs} ms`, {
      cause: error,
    });
  }
}
