/** The platform's HTTP API about one room, for whoever has a token that administers it. */
export interface RoomApi {
  /** The signaling service's address; `ws:` and `wss:` are taken for `http:` and `https:`. */
  url: string;
  roomId: string;
  token: string | undefined;
}

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const hashed = /^r-[0-9a-f]{32}$/;

/** The platform's own name for a room id: the id itself where Kubernetes allows it, else a hash of it. */
async function roomNameOf(roomId: string): Promise<string> {
  if (label.test(roomId) && !hashed.test(roomId)) return roomId;
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(roomId));
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'));
  return `r-${hex.join('').slice(0, 32)}`;
}

/**
 * Asks something about a peer.
 *
 * @throws Error with the server's words
 */
export async function askAboutPeer(
  { url, roomId, token }: RoomApi,
  peerId: string,
  { method, path, body }: { method: 'POST' | 'DELETE'; path: string; body?: unknown },
): Promise<void> {
  const base = new URL(url.replace(/^ws/, 'http'));
  const peer = `/api/rooms/${await roomNameOf(roomId)}/peers/${encodeURIComponent(peerId)}${path}`;
  const response = await fetch(new URL(peer, base), {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.ok) return;
  const answer = (await response.json().catch(() => undefined)) as
    { error?: { message?: string } } | undefined;
  throw new Error(answer?.error?.message ?? `the server answered ${response.status}`);
}
