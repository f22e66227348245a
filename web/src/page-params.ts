/** What the page's address says: who joins which room, and how. */
export interface PageParams {
  room: string;
  name: string;
  /** Empty: made up on join. */
  peerId: string;
  /** A room token, passed on to the signaling service. */
  token: string;
  autojoin: boolean;
  /** Which of the signaling replicas to use, counted from 0. */
  replica: number;
  camera: boolean;
  microphone: boolean;
  forceTcp: boolean;
  /** Whether the client is one that the platform can move without a rejoin; `extensions=none`: as others are. */
  extensions: boolean;
  /** The camera's height in pixels; fewer pixels cost less to encode. */
  videoHeight: number;
}

const DEFAULT_VIDEO_HEIGHT = 720;
/** Where three layers of 720 lines would leave no processor for the others' pictures. */
const SMALL_MACHINE = { cores: 4, videoHeight: 360 };
const SMALLEST_VIDEO_HEIGHT = 90;

const numberParam = (query: URLSearchParams, name: string, fallback: number): number => {
  const value = Number(query.get(name) ?? '');
  return query.has(name) && Number.isInteger(value) && value >= 0 ? value : fallback;
};

/**
 * Reads the query of `/?room=…&name=…&peer=…&token=…&autojoin=1&replica=1&camera=0&microphone=0`.
 *
 * @param cores - of the processor, as the browser says
 */
export function readPageParams(search: string, cores: number): PageParams {
  const query = new URLSearchParams(search);
  const usualHeight =
    cores <= SMALL_MACHINE.cores ? SMALL_MACHINE.videoHeight : DEFAULT_VIDEO_HEIGHT;
  return {
    room: query.get('room')?.trim() ?? '',
    name: query.get('name')?.trim() ?? '',
    peerId: query.get('peer')?.trim() ?? '',
    token: query.get('token') ?? '',
    autojoin: query.get('autojoin') === '1',
    replica: numberParam(query, 'replica', 0),
    camera: query.get('camera') !== '0',
    microphone: query.get('microphone') !== '0',
    forceTcp: query.get('forceTcp') === '1',
    extensions: query.get('extensions') !== 'none',
    videoHeight: Math.max(SMALLEST_VIDEO_HEIGHT, numberParam(query, 'videoHeight', usualHeight)),
  };
}

/** The address to send to others: the room alone, neither this person's name nor token. */
export function inviteAddress(
  location: Pick<Location, 'origin' | 'pathname'>,
  room: string,
): string {
  return `${location.origin}${location.pathname}?${new URLSearchParams({ room }).toString()}`;
}

/** A random peer id: 10 characters out of 32. Works on pages without a secure context too. */
export function randomPeerId(): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join('');
}
