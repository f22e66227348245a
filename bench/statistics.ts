/**
 * The smallest value that at least `percent` of the values are not above (nearest rank): always one that was measured.
 *
 * @throws RangeError without values, or with a percentage outside 0–100
 */
export function percentile(values: readonly number[], percent: number): number {
  if (!(percent >= 0 && percent <= 100)) throw new RangeError(`not a percentage: ${percent}`);
  const sorted = values.toSorted((a, b) => a - b);
  const found = sorted[Math.max(Math.ceil((percent / 100) * sorted.length), 1) - 1];
  if (found === undefined) throw new RangeError('no values');
  return found;
}

export const median = (values: readonly number[]): number => percentile(values, 50);

export const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);
