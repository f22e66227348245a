import type { Change, HasMeta, Informer, ObjectRef } from '../../common/kubernetes/informer.ts';
import type { WatchEvent } from '../cluster.ts';

/** A change as the events that tell it: an object that took another's name is the end of that and a new one. */
export function eventsOf<T extends HasMeta>({ object, previous }: Change<T>): WatchEvent<T>[] {
  if (!object) return previous ? [{ type: 'DELETED', object: previous }] : [];
  if (!previous) return [{ type: 'ADDED', object }];
  if (previous.metadata.uid === object.metadata.uid) return [{ type: 'MODIFIED', object }];
  return [
    { type: 'DELETED', object: previous },
    { type: 'ADDED', object },
  ];
}

/** The operator's reads, from an informer's copy. */
export const readerOf = <T extends HasMeta>(informer: Informer<T>) => ({
  get: (key: ObjectRef): T | undefined => informer.get(key),
  list: (): T[] => informer.list(),
  watch(listener: (event: WatchEvent<T>) => void): () => void {
    for (const object of informer.list()) listener({ type: 'ADDED', object });
    return informer.onChange((change) => eventsOf(change).forEach(listener));
  },
});
