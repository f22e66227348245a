type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const containsItems = (actual: unknown, wanted: unknown[]): boolean => {
  // The API takes an empty list for none.
  const items: unknown = actual ?? [];
  return (
    Array.isArray(items) &&
    items.length === wanted.length &&
    wanted.every((item, i) => containsAll(items[i], item))
  );
};

/** Whether everything that is wanted is there and equal; what is there beside it, such as defaults, does not matter. */
export function containsAll(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return containsItems(actual, wanted);
  if (!isFields(wanted)) return actual === wanted;
  return (
    isFields(actual) &&
    Object.entries(wanted).every(([key, value]) => containsAll(actual[key], value))
  );
}

/**
 * Whether two values are equal but for empty lists: server-side apply drops a list that it empties, and puts it back when the same
 * is applied once more.
 */
export const isSame = (one: unknown, other: unknown): boolean =>
  containsAll(one, other) && containsAll(other, one);
