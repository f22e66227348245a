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

/** What zod found wrong, one entry for each field, with the field's path as a person writes it. */
const fieldIssues = (error: z.ZodError): FieldIssue[] =>
  error.issues.map((issue) => ({ field: pathOf(issue.path), message: issue.message }));

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
