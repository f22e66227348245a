/** What was thrown, as a promise is to be rejected with it. */
export const toError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown));
