import type { IncomingMessage } from 'node:http';

import { ApiError } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import { toApiError } from '../../common/service/http.ts';
import { parseOrThrow } from '../../common/validate.ts';
import { peerId, type Grants } from '../../common/wire/peer.ts';
import { z } from 'zod';
import { authorizePeer } from '../auth/authorize.ts';
import { toPublicError } from '../public-error.ts';
import type { Services } from '../services.ts';
import { roomNameOf } from '../placement/room-name.ts';
import { parseExtensions, type Extensions } from '../sessions/extensions.ts';
import { hashOfToken } from '../sessions/resume-token.ts';
import { createAddressLimit, remoteAddressOf } from './address.ts';
import { createOriginCheck } from './origin.ts';
import { roomId } from './room-id.ts';

export const subprotocol = 'protoo';

/** What was found out about a connection before it was accepted. */
export interface Admission {
  peerId: string;
  roomName: string;
  /** For a new session; one that is resumed needs nothing of it. */
  room: MediaRoom | undefined;
  grants: Grants;
  extensions: Extensions;
  /** The session that the client wants to go on with. */
  resume: { token: string; hash: string; mediaPeerId: string } | undefined;
  remoteAddress: string;
}

/** The session that was to be resumed does not exist: the client is told by a close code, and connects anew. */
export type Verdict = Admission | 'session lost';

const query = z.object({ roomId, peerId });

type Deps = Pick<Services, 'config' | 'logger' | 'metrics' | 'peers' | 'placements'>;

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url, 'ws://host') ? new URL(url, 'ws://host') : undefined;
  if (!parsed) throw new ApiError('invalid_request', 'the request target is not a URL');
  return parsed;
}

/** A session goes on whatever has become of its room: it asks the Kubernetes API for nothing. */
async function admitAgain(
  { peers, metrics }: Deps,
  who: {
    roomId: string;
    peerId: string;
    token: string;
    grants: Grants;
    extensions: Extensions;
  },
): Promise<Omit<Admission, 'remoteAddress'> | 'session lost'> {
  const { peerId, token, grants, extensions } = who;
  const roomName = roomNameOf(who.roomId);
  const hash = hashOfToken(token);
  const mediaPeerId = await peers.findResumable({ resumeHash: hash, roomId: roomName, peerId });
  if (mediaPeerId === undefined) {
    metrics.resumes.inc({ result: 'lost' });
    return 'session lost';
  }
  const resume = { token, hash, mediaPeerId };
  return { peerId, roomName, room: undefined, grants, extensions, resume };
}

/** The order is that of what a check costs; nothing is asked of a store before the token was checked. */
async function admit(
  deps: Deps,
  request: IncomingMessage,
  originAllowed: (origin: string | undefined) => boolean,
): Promise<Omit<Admission, 'remoteAddress'> | 'session lost'> {
  const { pathname, searchParams } = parseUrl(request.url ?? '/');
  if (pathname !== '/') throw new ApiError('not_found', 'the WebSocket is served at /');
  const { origin } = request.headers;
  if (!originAllowed(origin))
    throw new ApiError('origin_not_allowed', `pages of ${origin} may not connect`);
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  if (!offered.some((name) => name.trim() === subprotocol))
    throw new ApiError(
      'subprotocol_required',
      `the WebSocket subprotocol "${subprotocol}" is required`,
    );
  const given = Object.fromEntries(
    ['roomId', 'peerId'].map((name) => [name, searchParams.get(name) ?? undefined]),
  );
  const who = parseOrThrow(query, given, 'query');
  const grants = await authorizePeer(
    deps.config.roomAuth,
    searchParams.get('token') ?? undefined,
    who,
  );
  const extensions = parseExtensions(searchParams.get('extensions'));
  const token = extensions.has('resume') ? searchParams.get('resume') : null;
  if (token !== null) return admitAgain(deps, { ...who, token, grants, extensions });
  const room = await deps.placements.prepare(who.roomId);
  // The binding decides; this look beforehand gives a refusal that HTTP clients can read.
  if ((await deps.peers.countOthers(room.metadata.name, who.peerId)) >= room.spec.maxPeers)
    throw new ApiError('room_full', `the room has its ${room.spec.maxPeers} peers already`);
  return {
    ...{ peerId: who.peerId, roomName: room.metadata.name, room, grants, extensions },
    resume: undefined,
  };
}

type Verify = (
  info: { req: IncomingMessage },
  done: (ok: boolean, status?: number, body?: string, headers?: Record<string, string>) => void,
) => void;

/** Decides about upgrades to WebSocket before they are answered, so that refusals are real HTTP answers. */
export function createHandshake(deps: Deps): {
  verifyClient: Verify;
  verdictOn: (request: IncomingMessage) => Verdict | undefined;
} {
  const { config, logger, metrics } = deps;
  const originAllowed = createOriginCheck(config.public.urls);
  const addresses = createAddressLimit(config.limits.connectionsPerAddress);
  const verdicts = new WeakMap<IncomingMessage, Verdict>();

  async function verify(request: IncomingMessage): Promise<void> {
    const remoteAddress = remoteAddressOf(request, config.public.trustedProxies);
    if (!addresses.take(remoteAddress, request.socket)) {
      metrics.refusals.inc({ limit: 'connections' });
      throw new ApiError('too_many_connections', 'too many connections from this address');
    }
    const admitted = await admit(deps, request, originAllowed);
    verdicts.set(request, admitted === 'session lost' ? admitted : { ...admitted, remoteAddress });
  }

  return {
    verifyClient: ({ req }, done) => {
      verify(req).then(
        () => {
          metrics.connects.inc({ result: 'accepted' });
          done(true);
        },
        (error: unknown) => {
          const apiError = toPublicError(toApiError(error, logger), logger);
          metrics.connects.inc({ result: apiError.code });
          if (apiError.code === 'room_full') metrics.refusals.inc({ limit: 'peers' });
          logger.info({ code: apiError.code }, `connection refused: ${apiError.message}`);
          done(false, apiError.status, JSON.stringify(apiError.toBody()), {
            'Content-Type': 'application/json',
          });
        },
      );
    },
    verdictOn: (request) => verdicts.get(request),
  };
}
