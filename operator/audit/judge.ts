import type { OperatorConfig } from '../config.ts';
import { compare } from './compare.ts';
import { limitsOf } from './limits.ts';
import type { Look } from './look.ts';
import type { Difference, DifferenceTracker } from './tracker.ts';

/** What a look shows, as far as it lasts. */
export function judge(
  { snapshot }: Look,
  tracker: DifferenceTracker,
  { config, at }: { config: OperatorConfig; at: number },
): Difference[] {
  if (!snapshot) return [];
  const limits = limitsOf(config, snapshot.nodes);
  return tracker.note(compare(snapshot, limits), at, limits);
}
