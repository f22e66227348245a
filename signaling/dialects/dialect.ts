import type { PeerMessage, PeerMethod, PeerResponse } from '../../common/wire/peer.ts';

/**
 * Terms. *dialect*: how one generation of client apps words the protocol. *message model*: the platform's own wording
 * (`common/wire/peer.ts`), which is all that the rest of this service, and the media nodes, know.
 */
export type DialectName = 'current' | 'older';

/** A client's message in the platform's wording, its data not checked yet. */
export type ModelRequest =
  | {
      kind: 'forward';
      method: PeerMethod;
      data: unknown;
      /** With `createWebRtcTransport`: the transport that the new one takes the place of. */
      replaces?: unknown;
    }
  /** About the connection's session and its transports, for clients that announced extensions. */
  | { kind: 'session'; method: 'leave' | 'resumeSession' | 'closeTransport'; data: unknown }
  /** Answered here, without a media node. */
  | { kind: 'answer'; data: unknown };

/** A message of the platform in the client's wording. */
export interface ClientMessage {
  /** A request is answered by the client. */
  kind: 'request' | 'notification';
  method: string;
  data: unknown;
}

export type AnyResponse = PeerResponse<PeerMethod>;

/** How a dialect words what goes to the client. */
export interface Dialect {
  name: DialectName;
  /** The data of an answer, from what the platform answered. */
  answer: (method: PeerMethod, response: AnyResponse) => unknown;
  /** Undefined: clients of this dialect are not told. */
  message: (message: PeerMessage) => ClientMessage | undefined;
}

/** The fields of what a client sent; anything but an object has none. */
export const fieldsOf = (data: unknown): Record<string, unknown> =>
  typeof data === 'object' && data !== null && !Array.isArray(data)
    ? (data as Record<string, unknown>)
    : {};
