import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import type { ApiError } from './errors.ts';
import { parseOrThrow } from './validate.ts';

const schema = z.object({
  name: z.string(),
  a: z.object({ b: z.array(z.object({ c: z.int() })) }),
});

function refusal(of: z.ZodType, value: unknown, what = 'body'): ApiError {
  try {
    parseOrThrow(of, value, what);
  } catch (error) {
    return error as ApiError;
  }
  throw new Error('was accepted');
}

const fieldsOf = (of: z.ZodType, value: unknown): string[] =>
  (refusal(of, value).fields ?? []).map(({ field }) => field);

describe('parseOrThrow', () => {
  it('returns what the schema makes of the value, defaults included', () => {
    const withDefault = z.object({ n: z.int().default(3) });
    expect(parseOrThrow(withDefault, {}, 'body')).toEqual({ n: 3 });
  });

  it('refuses with invalid_request and says what was checked', () => {
    const error = refusal(schema, { name: 'x' }, 'join');
    expect(error.code).toBe('invalid_request');
    expect(error.message).toMatch(/^join: a: /);
  });

  it('writes the path of a field as a person does', () => {
    expect(fieldsOf(schema, { name: 'x', a: { b: [{ c: 'no' }] } })).toEqual(['a.b[0].c']);
  });

  it.each([
    ['an item of a list of lists', z.array(z.array(z.int())), [[1], [2, 'x']], '[1][1]'],
    ['a field of a list at the top', z.array(z.object({ a: z.int() })), [{ a: 'x' }], '[0].a'],
    ['a key of a record', z.record(z.string(), z.int()), { some: 'x' }, 'some'],
    ['the whole value', z.int(), 'x', ''],
  ])('names %s', (_, of, value, want) => {
    expect(fieldsOf(of, value)).toEqual([want]);
  });

  it('names every wrong field, in the message too', () => {
    const value = { name: 1, a: { b: [{ c: 1 }, { c: 1.5 }] } };
    expect(fieldsOf(schema, value)).toEqual(['name', 'a.b[1].c']);
    expect(refusal(schema, value).message).toMatch(/^body: name: .+; a\.b\[1\]\.c: /);
  });

  it('leaves the field out of the message where the whole value is wrong', () => {
    expect(refusal(z.int(), 'x').message).toMatch(/^body: Invalid input/);
  });

  it('names a key that a strict object does not know', () => {
    const error = refusal(z.object({ a: z.strictObject({}) }), { a: { typo: 1 } });
    expect(error.message).toMatch(/a: .*"typo"/);
  });

  it('names, of a union that nothing fits, the fields of what came nearest', () => {
    const union = z.union([z.object({ x: z.int(), y: z.int() }), z.object({ z: z.int() })]);
    expect(fieldsOf(z.object({ a: z.array(union) }), { a: [{ z: 'no' }] })).toEqual(['a[0].z']);
  });
});
