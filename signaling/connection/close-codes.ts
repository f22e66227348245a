/**
 * Why a socket is closed. A client comes back after every code but `forGood`: it reconnects with pauses and joins again.
 */
export const closeCodes = {
  /** Another connection of the same peer, an administrator, or the end of the room: the client must not come back. */
  forGood: 4000,
  /** The peer's router moved, or a media node lost it: a new connection gets new routers. */
  moved: 4001,
  /** No join came in time. */
  joinTimeout: 4002,
  /** The room could not take the peer now. */
  notBound: 4003,
  /** There is no session to resume: the client connects anew and joins. */
  sessionLost: 4004,
  /** Binary frames. */
  unsupportedData: 1003,
  /** Too many refused or malformed messages. */
  policyViolation: 1008,
  internalError: 1011,
  /** This replica stops or has to start over. */
  restart: 1012,
  /** The client does not keep up with what it is sent. */
  tryAgainLater: 1013,
} as const;

/** After these, when this service closes with them, the session is over; after any other it may be resumed. */
const lastCodes: ReadonlySet<number> = new Set([
  closeCodes.forGood,
  closeCodes.moved,
  closeCodes.joinTimeout,
  closeCodes.notBound,
  closeCodes.sessionLost,
  closeCodes.unsupportedData,
  closeCodes.policyViolation,
]);

export const endsSession = (code: number): boolean => lastCodes.has(code);

/** The WebSocket protocol's limit for a reason, in bytes of UTF-8. */
const longestReason = 123;

export function closeReason(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= longestReason) return text;
  return bytes
    .subarray(0, longestReason - 4)
    .toString()
    .replace(/\uFFFD+$/, '');
}
