import { compareObjects } from './compare-objects.ts';
import { comparePeers } from './compare-peers.ts';
import { comparePipes } from './compare-pipes.ts';
import { comparePods } from './compare-pods.ts';
import { compareRouters } from './compare-routers.ts';
import { SnapshotIndex } from './index-of.ts';
import type { Finding, Limits } from './kinds.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Compares what the custom resources, the session tables and the media nodes say of the same objects. Pure.
 *
 * The places are read one after the other while the platform works, so one snapshot shows things in the making and things
 * that are going as differences. Ids are never used twice: what is wrong with an id in two looks that lie further apart
 * than any such step takes was wrong all the time, which is what {@link DifferenceTracker} asks for. No order of the reads
 * would do as well: objects are made at the node first and then written down, but sessions end in the tables first.
 *
 * What follows from another difference by the tables' foreign keys is left out: where a peer's row is gone, so are those
 * of its transports, and one finding says it.
 */
export function compare(
  snapshot: Snapshot,
  limits: Pick<Limits, 'replicaSilentMs' | 'detachedMs'>,
): Finding[] {
  const index = new SnapshotIndex(snapshot);
  return [
    ...compareRouters(index),
    ...compareObjects(index),
    ...comparePeers(index, limits),
    ...comparePipes(index),
    ...comparePods(snapshot.resources),
  ];
}
