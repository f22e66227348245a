import type { types } from 'mediasoup-client';

import { describeDevice } from './media/device-info.ts';
import type { RoomApi } from './moderation.ts';
import type { DeviceInfo } from './signaling/messages.ts';
import { resolveTiming, type Timing, type TimingOptions } from './timing.ts';

/** What {@link connect} takes. */
export interface ConnectOptions {
  /**
   * The signaling service: `wss://sfu.example.org`. Of several, each try after the first retry takes the next. A function
   * is asked at each try, counted from 0 since the last connection that lasted.
   */
  url: string | readonly string[] | ((attempt: number) => string);
  roomId: string;
  /** Unique in the room: a second connection of the same peer closes the first. */
  peerId: string;
  /** What the others see. */
  displayName: string;
  /** The room token. A function is asked at each connection, so that one that expires can be renewed. */
  token?: string | (() => string | Promise<string>);
  /** What this client is; by default the browser. */
  device?: DeviceInfo;
  /** Media over TCP alone. */
  forceTcp?: boolean;
  iceServers?: RTCIceServer[];
  iceTransportPolicy?: RTCIceTransportPolicy;
  /** How many voices to receive at once: those who speak. By default all. */
  audioTopN?: number;
  timing?: TimingOptions;
  /** What the server may do beyond the common protocol; by default all that the SDK understands. */
  extensions?: readonly Extension[];
  /** mediasoup-client's way to WebRTC, where it is not a browser's. */
  handlerFactory?: types.HandlerFactory;
}

/** The options, checked and with their defaults. */
export interface ResolvedOptions {
  connectOptions: ConnectOptions;
  device: DeviceInfo;
  timing: Timing;
  /** The address for a try. */
  address: (attempt: number, resumeToken: string | undefined) => string | Promise<string>;
  /** The platform's HTTP API about this room. */
  api: () => Promise<RoomApi>;
}

/** `move`: a transport moves to another node without a rejoin. `resume`: a lost WebSocket leaves the session as it is. */
export type Extension = 'move' | 'resume';

const allExtensions: readonly Extension[] = ['move', 'resume'];

function requireText(name: keyof ConnectOptions, value: unknown): void {
  if (typeof value !== 'string' || value === '')
    throw new TypeError(`${name}: expected a text that is not empty`);
}

function checkTopN(count: unknown): void {
  if (count !== undefined && !(Number.isInteger(count) && (count as number) > 0))
    throw new TypeError('audioTopN: expected a whole number of at least 1');
}

const schemes: Record<string, string> = { 'http:': 'ws:', 'https:': 'wss:' };

/** An address as a WebSocket needs it; one without a host is taken from the page's own. */
function webSocketUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text, typeof location === 'undefined' ? undefined : location.href);
  } catch {
    throw new TypeError(`url: ${JSON.stringify(text)} is no address`);
  }
  url.protocol = schemes[url.protocol] ?? url.protocol;
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw new TypeError(`url: ${JSON.stringify(text)}: expected wss: or ws:`);
  return url;
}

/** The first retry goes to the same address, which may only have asked the peer to come back; from then on to the next. */
const addressIndex = (attempt: number, count: number): number => Math.max(0, attempt - 1) % count;

function baseUrl(url: ConnectOptions['url'], attempt: number): string {
  if (typeof url === 'function') return url(attempt);
  if (typeof url === 'string') return url;
  return url[addressIndex(attempt, url.length)] ?? '';
}

/**
 * Checks the options.
 *
 * @throws TypeError naming an option that is not as it should be
 */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  for (const name of ['roomId', 'peerId'] as const) requireText(name, options[name]);
  if (typeof options.displayName !== 'string') throw new TypeError('displayName: expected a text');
  checkTopN(options.audioTopN);
  if (typeof options.url !== 'function') for (const url of [options.url].flat()) webSocketUrl(url);
  if (Array.isArray(options.url) && options.url.length === 0)
    throw new TypeError('url: expected at least one address');
  const { url, roomId, peerId, token } = options;
  const extensions = (options.extensions ?? allExtensions).join(',');
  const query = { roomId, peerId, extensions };
  const accessToken = async () => (typeof token === 'function' ? token() : token);
  const address = (
    attempt: number,
    resume: string | undefined,
    accessToken: string | undefined,
  ) => {
    const base = webSocketUrl(baseUrl(url, attempt));
    const all = { ...query, token: accessToken, resume };
    for (const [name, value] of Object.entries(all))
      if (value !== undefined && value !== '') base.searchParams.set(name, value);
    return base.href;
  };
  return {
    connectOptions: options,
    device: options.device ?? describeDevice(navigator.userAgent),
    timing: resolveTiming(options.timing),
    address: (attempt, resume) =>
      typeof token === 'function' || typeof url === 'function'
        ? accessToken().then((text) => address(attempt, resume, text))
        : address(attempt, resume, token),
    api: async () => ({ url: baseUrl(url, 0), roomId, token: await accessToken() }),
  };
}
