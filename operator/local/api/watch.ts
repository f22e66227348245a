import { PassThrough } from 'node:stream';

import { formatKey } from '../../cluster.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Change, Collection, Stored } from '../store.ts';
import { StatusError, type Status } from './status.ts';

export interface WatchRequest {
  /** Empty or 0: everything that is there first, then the changes. */
  resourceVersion: string;
  matches: (object: Stored) => boolean;
  bookmarks: boolean;
  timeoutMs: number;
}

export interface WatchLimits {
  bookmarkIntervalMs: number;
  watchBufferBytes: number;
}

const expired = (resourceVersion: string): Status =>
  new StatusError(410, 'Expired', `too old resource version: ${resourceVersion}`).status;

type Writer = (type: string, object: unknown) => void;

/** Tells what a change means to a watch that sees only some objects: what leaves its selection is gone for it. */
function createFilter<T extends Stored>(matches: WatchRequest['matches'], write: Writer) {
  const sent = new Set<string>();
  return ({ type, object }: Pick<Change<T>, 'type' | 'object'>): void => {
    const key = formatKey(object.metadata);
    const known = sent.has(key);
    if (type !== 'DELETED' && matches(object)) {
      sent.add(key);
      // After a resume it is not known whether the client has the object; the stored type is right then.
      write(known ? 'MODIFIED' : type, object);
    } else if (known || matches(object)) {
      sent.delete(key);
      write('DELETED', object);
    }
  };
}

/** The changes of a collection as a stream of JSON lines, as the API server's watch. Ending the stream ends the watch. */
export function openWatch<T extends Stored & { apiVersion: string; kind: string }>(
  collection: Collection<T>,
  request: WatchRequest,
  { limits, clock, kind }: { limits: WatchLimits; clock: Clock; kind: object },
): PassThrough {
  const stream = new PassThrough();
  const stops: (() => void)[] = [];
  const close = (): void => {
    for (const stop of stops.splice(0)) stop();
    stream.end();
  };
  const write: Writer = (type, object) => {
    if (stream.writableEnded) return;
    stream.write(`${JSON.stringify({ type, object })}\n`);
    if (stream.writableLength > limits.watchBufferBytes) stream.destroy();
  };
  const send = createFilter<T>(request.matches, write);
  const bookmark = (): void => {
    const { resourceVersion } = collection;
    write('BOOKMARK', { ...kind, metadata: { resourceVersion: String(resourceVersion) } });
    stops.push(clock.schedule(limits.bookmarkIntervalMs, bookmark));
  };

  const fromStart = request.resourceVersion === '' || request.resourceVersion === '0';
  const missed = fromStart
    ? collection.list().map((object) => ({ type: 'ADDED' as const, object }))
    : collection.since(Number(request.resourceVersion));
  if (missed === undefined) {
    write('ERROR', expired(request.resourceVersion));
    stream.end();
    return stream;
  }
  for (const change of missed) send(change);
  stops.push(collection.subscribe(send), clock.schedule(request.timeoutMs, close));
  if (request.bookmarks) stops.push(clock.schedule(limits.bookmarkIntervalMs, bookmark));
  stream.on('close', close);
  return stream;
}
