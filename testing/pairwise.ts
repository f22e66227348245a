type Axes = Record<string, readonly string[]>;
type Choice = Record<string, string>;

interface Pair {
  a: [axis: string, choice: string];
  b: [axis: string, choice: string];
}

function pairsOf(axes: Axes): Pair[] {
  const entries = Object.entries(axes);
  return entries.flatMap(([a, as], i) =>
    entries
      .slice(i + 1)
      .flatMap(([b, bs]) => as.flatMap((x) => bs.map((y): Pair => ({ a: [a, x], b: [b, y] })))),
  );
}

const fits = (choice: Choice, [axis, name]: [string, string]): boolean =>
  (choice[axis] ?? name) === name;

/**
 * Combinations of choices, one of each axis, in which any two choices of two axes meet at least once: far fewer than all there
 * are, and enough for faults that two choices make together.
 */
export function pairwise(axes: Axes): Choice[] {
  const open = new Set(pairsOf(axes));
  const result: Choice[] = [];
  while (open.size > 0) {
    const choice: Choice = {};
    for (const pair of open) {
      if (!fits(choice, pair.a) || !fits(choice, pair.b)) continue;
      choice[pair.a[0]] = pair.a[1];
      choice[pair.b[0]] = pair.b[1];
    }
    for (const [axis, [first = '']] of Object.entries(axes)) choice[axis] ??= first;
    for (const pair of open) if (fits(choice, pair.a) && fits(choice, pair.b)) open.delete(pair);
    result.push(Object.fromEntries(Object.keys(axes).map((axis) => [axis, choice[axis] ?? ''])));
  }
  return result;
}
