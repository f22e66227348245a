let last = 0;

/** UUIDs that are the same at each run of a schedule. */
export const newUuid = (): string =>
  `00000000-0000-4000-8000-${(++last).toString(16).padStart(12, '0')}`;

export function beginUuids(): void {
  last = 0;
}
