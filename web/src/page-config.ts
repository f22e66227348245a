/** What the page server says about the platform (`/config.json`). */
export interface PageConfig {
  /** The ports of the signaling replicas, on the page's own host name; none where signaling is at the page's origin. */
  signalingPorts: number[];
}

const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536;

/** Reads the page server's answer; `signalingPort` is the first replica, for whoever knows only one. */
export function parsePageConfig(value: unknown): PageConfig {
  const { signalingPort, signalingPorts } = (value ?? {}) as Record<string, unknown>;
  const ports = (Array.isArray(signalingPorts) ? signalingPorts : [signalingPort]).filter(isPort);
  return { signalingPorts: ports };
}

/** Loads `/config.json`. Without one, the signaling service is expected at the page's origin. */
export async function loadPageConfig(): Promise<PageConfig> {
  try {
    const response = await fetch('/config.json', { cache: 'no-store' });
    return parsePageConfig(await response.json());
  } catch {
    return parsePageConfig(undefined);
  }
}

type Place = Pick<Location, 'protocol' | 'host' | 'hostname'>;

const hostOf = ({ host, hostname }: Place, port: number | undefined): string =>
  port === undefined ? host : `${hostname}:${port}`;

/** The signaling service's address, of one replica where its port is given. */
export function signalingUrl(place: Place, port: number | undefined): string {
  const scheme = place.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${hostOf(place, port)}/`;
}

/**
 * The replica for a try. The first retry goes to the same replica, which may only have asked the peer to come back;
 * from then on each try takes the next one, so that a dead replica does not keep anyone out.
 */
export function portForAttempt(
  ports: number[],
  replica: number,
  attempt: number,
): number | undefined {
  const index = (replica + Math.max(0, attempt - 1)) % ports.length;
  return ports[index];
}

/** The console's data on one replica. */
export const consoleUrl = (place: Place, port: number | undefined): string =>
  `${place.protocol}//${hostOf(place, port)}/api/console`;
