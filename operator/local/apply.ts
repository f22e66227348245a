import { isApiError } from '../../common/errors.ts';
import type { MediaRoom, MediaWorker } from '../../common/resources/types.ts';
import { formatKey } from '../cluster.ts';
import type { LocalObjects } from './cluster.ts';
import type { GivenObject } from './resource-file.ts';
import type { Collection } from './store.ts';

type Resource = MediaWorker | MediaRoom;

/** `kind namespace/name`, as logs write it. */
export const identityOf = ({ kind, metadata }: Resource): string =>
  `${kind} ${formatKey(metadata)}`;

/** The two collections differ only in what they hold, and an object is only ever put where its kind belongs. */
const collectionOf = (objects: LocalObjects, { kind }: Resource): Collection<Resource> =>
  (kind === 'MediaWorker'
    ? objects.mediaworkers
    : objects.mediarooms) as unknown as Collection<Resource>;

export const existingOf = (objects: LocalObjects, object: Resource): Resource | undefined =>
  collectionOf(objects, object).get(object.metadata);

/**
 * Makes the stored object like the given one, status and finalizers aside. Where one of that name is being deleted, the
 * given one waits for its end.
 */
export function applyObject(objects: LocalObjects, given: GivenObject): void {
  const { object } = given;
  const collection = collectionOf(objects, object);
  const old = collection.get(object.metadata);
  if (!old) {
    collection.create(object);
    return;
  }
  if (old.metadata.deletionTimestamp) {
    given.awaitsDeletionOf = old.metadata.uid;
    return;
  }
  const { finalizers, ownerReferences } = old.metadata;
  const { name, namespace, labels, annotations } = object.metadata;
  const user = Object.fromEntries(
    Object.entries({ labels, annotations, finalizers, ownerReferences }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  collection.update({ ...object, metadata: { name, namespace, ...user } });
}

/** Deletes the stored object; one that is gone is no error. */
export function removeObject(objects: LocalObjects, { object }: GivenObject): void {
  try {
    collectionOf(objects, object).delete(object.metadata, {});
  } catch (error) {
    if (!isApiError(error, 'not_found')) throw error;
  }
}
