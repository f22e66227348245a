import type { z } from 'zod';

import { ApiError, type FieldIssue } from './errors.ts';

const pathOf = (path: PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === 'number'
        ? `${text}[${key}]`
        : text === ''
          ? String(key)
          : `${text}.${String(key)}`,
    '',
  );

type Issue = z.ZodError['issues'][number];

/** A union that nothing fits: what the branch complains of that came nearest, the one with the fewest complaints. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const nearest = issue.errors.reduce((best, branch) =>
    branch.length < best.length ? branch : best,
  );
  return nearest.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** What zod found wrong, one entry for each field, with the field's path as a person writes it. */
const fieldIssues = (error: z.ZodError): FieldIssue[] =>
  error.issues
    .flatMap(flatten)
    .map((issue) => ({ field: pathOf(issue.path), message: issue.message }));

/**
 * Checks bytes from outside against their schema.
 *
 * @param what names the thing checked, for the message: `config`, `join`, `body`
 * @throws {ApiError} `invalid_request`, naming each wrong field and what was expected
 */
export function parseOrThrow<T extends z.ZodType>(
  schema: T,
  value: unknown,
  what: string,
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = fieldIssues(result.error);
  const text = fields
    .map(({ field, message }) => (field ? `${field}: ${message}` : message))
    .join('; ');
  throw new ApiError('invalid_request', `${what}: ${text}`, { fields });
}
