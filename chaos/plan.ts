import type { FaultKind } from './kinds.ts';

/** One fault, or a pair whose second strikes while the platform recovers from the first. */
export interface Round {
  kinds: [FaultKind] | [FaultKind, FaultKind];
  /** From the beginning of the first to that of the second, in milliseconds. */
  delayMs: number;
  /** Of the choices that are made within the round. */
  seed: number;
}

export interface PlanRequest {
  kinds: readonly FaultKind[];
  rounds: number;
  /** Each kind so often and alone, in place of rounds. */
  count: number | undefined;
  random: () => number;
}

/** The share of rounds that are pairs. */
const pairShare = 0.35;
/** The second fault of a pair comes at the latest this long after the first, in milliseconds. */
const maxDelayMs = 3000;

const roundSeed = (random: () => number): number => Math.floor(random() * 2 ** 32);

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

/** Kinds in random order, none coming again before all others came. */
function* endless(kinds: readonly FaultKind[], random: () => number): Generator<FaultKind, never> {
  for (;;) yield* shuffled(kinds, random);
}

/** The rounds of a run: the same for the same numbers. */
export function planRounds({ kinds, rounds, count, random }: PlanRequest): Round[] {
  const next = endless(kinds, random);
  const take = (): FaultKind => next.next().value;
  const alone = (): Round => ({ kinds: [take()], delayMs: 0, seed: roundSeed(random) });
  if (count !== undefined) return Array.from({ length: count * kinds.length }, alone);
  return Array.from({ length: rounds }, () =>
    random() < pairShare
      ? {
          kinds: [take(), take()],
          delayMs: Math.floor(random() * maxDelayMs),
          seed: roundSeed(random),
        }
      : alone(),
  );
}

export const nameOf = ({ kinds }: Round): string => kinds.join(' + ');
