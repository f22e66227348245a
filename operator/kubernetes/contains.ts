type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** Whether everything that is wanted is there and equal; what is there beside it, such as defaults, does not matter. */
export function containsAll(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, i) => containsAll(actual[i], item))
    );
  if (!isFields(wanted)) return actual === wanted;
  return (
    isFields(actual) &&
    Object.entries(wanted).every(([key, value]) => containsAll(actual[key], value))
  );
}
