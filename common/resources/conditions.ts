import type { Condition } from './types.ts';

/**
 * The conditions with this one set. `lastTransitionTime` moves only when the status flips; all else is taken from the
 * new one. The order of the others stays, so that an unchanged list compares equal.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  condition: Omit<Condition, 'lastTransitionTime'>,
  now: Date,
): Condition[] {
  const old = conditions?.find(({ type }) => type === condition.type);
  const time = old?.status === condition.status ? old.lastTransitionTime : now.toISOString();
  const next: Condition = { ...condition, lastTransitionTime: time };
  if (!old) return [...(conditions ?? []), next];
  return (conditions ?? []).map((item) => (item === old ? next : item));
}

export const findCondition = (
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined => conditions?.find((item) => item.type === type);

export const isConditionTrue = (
  conditions: readonly Condition[] | undefined,
  type: string,
): boolean => findCondition(conditions, type)?.status === 'True';
