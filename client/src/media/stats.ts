/** What a page wants to know of the browser's WebRTC statistics about one track, in or out. */
export interface TrackStats {
  bytes: number;
  packetsReceived: number;
  packetsLost: number;
  framesDecoded: number;
  frameWidth: number;
  frameHeight: number;
  framesPerSecond: number;
  /** Seconds. */
  jitter: number;
  totalAudioEnergy: number;
  totalSamplesReceived: number;
  /** Outgoing: what holds the encoder back: none, cpu, bandwidth or other. */
  limitedBy: string;
}

/** What goes through one transport. */
export interface TransportStats {
  bytesSent: number;
  bytesReceived: number;
  /** Round-trip time in seconds. */
  roundTripTime: number;
}

type Entry = Record<string, unknown>;

const numberOf = (entry: Entry, field: string): number => {
  const value = entry[field];
  return typeof value === 'number' ? value : 0;
};

const maxOf = (entries: Entry[], field: string): number =>
  Math.max(0, ...entries.map((entry) => numberOf(entry, field)));

const sumOf = (entries: Entry[], field: string): number =>
  entries.reduce((sum, entry) => sum + numberOf(entry, field), 0);

function entriesOf(report: Iterable<unknown>, type: string): Entry[] {
  return [...report].filter(
    (entry): entry is Entry =>
      typeof entry === 'object' && entry !== null && (entry as Entry)['type'] === type,
  );
}

/**
 * Sums a report up. A simulcast producer has an outgoing stream for each layer: bytes are added, the picture is the
 * largest one's.
 */
export function summarizeTrack(report: Iterable<unknown>): TrackStats {
  const all = [...report];
  const incoming = entriesOf(all, 'inbound-rtp');
  const outgoing = entriesOf(all, 'outbound-rtp');
  const streams = incoming.length > 0 ? incoming : outgoing;
  const limit = outgoing.find((entry) => typeof entry['qualityLimitationReason'] === 'string');
  return {
    bytes: sumOf(streams, incoming.length > 0 ? 'bytesReceived' : 'bytesSent'),
    packetsReceived: sumOf(streams, 'packetsReceived'),
    packetsLost: sumOf(streams, 'packetsLost'),
    framesDecoded: sumOf(streams, 'framesDecoded'),
    frameWidth: maxOf(streams, 'frameWidth'),
    frameHeight: maxOf(streams, 'frameHeight'),
    framesPerSecond: maxOf(streams, 'framesPerSecond'),
    jitter: maxOf(streams, 'jitter'),
    totalAudioEnergy: sumOf(streams, 'totalAudioEnergy'),
    totalSamplesReceived: sumOf(streams, 'totalSamplesReceived'),
    limitedBy: limit ? String(limit['qualityLimitationReason']) : '',
  };
}

/** What grows for as long as something is received. */
const counters = [
  'bytes',
  'packetsReceived',
  'packetsLost',
  'framesDecoded',
  'totalAudioEnergy',
  'totalSamplesReceived',
] as const satisfies (keyof TrackStats)[];

export const noTrackStats: TrackStats = summarizeTrack([]);

/** The numbers of a track with the counters of those before it. */
export function addStats(before: TrackStats, now: TrackStats): TrackStats {
  const sums = Object.fromEntries(counters.map((name) => [name, before[name] + now[name]]));
  return { ...now, ...sums };
}

/** Sums up a transport's report. */
export function summarizeTransport(report: Iterable<unknown>): TransportStats {
  const all = [...report];
  const pairs = entriesOf(all, 'candidate-pair').filter((pair) => pair['nominated'] === true);
  return {
    bytesSent: sumOf(entriesOf(all, 'transport'), 'bytesSent'),
    bytesReceived: sumOf(entriesOf(all, 'transport'), 'bytesReceived'),
    roundTripTime: maxOf(pairs, 'currentRoundTripTime'),
  };
}

/** Kilobits a second between two readings of a byte counter. */
export function kilobitsPerSecond(before: number, after: number, elapsedMs: number): number {
  if (elapsedMs <= 0 || after < before) return 0;
  return ((after - before) * 8) / elapsedMs;
}
