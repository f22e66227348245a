import { kilobitsPerSecond } from '../../../client/src/index.ts';
import type { RoomSnapshot } from '../snapshot.ts';

/** A table's row: the first cell names it. */
export interface Row {
  id: string;
  cells: string[];
}

const sourceNames: Record<string, string> = {
  audio: 'voice',
  video: 'camera',
  screensharing: 'screen',
};

const sizeOf = (width: number, height: number): string => (width > 0 ? `${width}×${height}` : '–');
const roundedOr = (value: number): string => (value > 0 ? String(Math.round(value)) : '–');

/** Rates need an earlier reading; the first time they show as a dash. */
function rate(before: number | undefined, after: number, elapsedMs: number): string {
  if (before === undefined || elapsedMs <= 0) return '–';
  return String(Math.round(kilobitsPerSecond(before, after, elapsedMs)));
}

export function sentRows(
  now: RoomSnapshot,
  before: RoomSnapshot | undefined,
  elapsedMs: number,
): Row[] {
  return now.producers.map((one) => {
    const earlier = before?.producers.find(({ source }) => source === one.source);
    return {
      id: one.source,
      cells: [
        sourceNames[one.source] ?? one.source,
        sizeOf(one.frameWidth, one.frameHeight),
        roundedOr(one.framesPerSecond),
        rate(earlier?.bytes, one.bytes, elapsedMs),
        one.limitedBy === '' || one.limitedBy === 'none' ? '–' : one.limitedBy,
      ],
    };
  });
}

export function receivedRows(
  now: RoomSnapshot,
  before: RoomSnapshot | undefined,
  elapsedMs: number,
): Row[] {
  const names = new Map(now.peers.map(({ peerId, displayName }) => [peerId, displayName]));
  return now.consumers.map((one) => {
    const earlier = before?.consumers.find((other) => other.subscription === one.subscription);
    return {
      id: one.subscription,
      cells: [
        `${names.get(one.peerId) || one.peerId}, ${sourceNames[one.source] ?? one.source}`,
        sizeOf(one.frameWidth, one.frameHeight),
        roundedOr(one.framesPerSecond),
        rate(earlier?.bytes, one.bytes, elapsedMs),
        String(one.packetsLost),
      ],
    };
  });
}

const MAX_VALUE_LENGTH = 120;

/** A statistics object as lines of a list: nested fields get dotted names. */
export function flatten(value: unknown, prefix = ''): [key: string, value: string][] {
  if (typeof value !== 'object' || value === null) {
    return [[prefix, String(value).slice(0, MAX_VALUE_LENGTH)]];
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    flatten(inner, prefix === '' ? key : `${prefix}.${key}`),
  );
}
