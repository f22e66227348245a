import { describe, expect, it } from '@jest/globals';

import { jsonPatch, mergePatch } from './patch.ts';

describe('mergePatch', () => {
  it.each([
    { name: 'adds and replaces', target: { a: 1 }, patch: { a: 2, b: 3 }, want: { a: 2, b: 3 } },
    { name: 'removes by null', target: { a: 1, b: 2 }, patch: { a: null }, want: { b: 2 } },
    {
      name: 'merges deeply',
      target: { a: { b: 1, c: 2 } },
      patch: { a: { b: null, d: 3 } },
      want: { a: { c: 2, d: 3 } },
    },
    { name: 'replaces lists whole', target: { a: [1, 2] }, patch: { a: [3] }, want: { a: [3] } },
    { name: 'replaces what is no object', target: 1, patch: { a: 2 }, want: { a: 2 } },
  ])('$name', ({ target, patch, want }) => {
    expect(mergePatch(target, patch)).toEqual(want);
  });

  it('takes no prototype from a patch', () => {
    const patch = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
    mergePatch({}, patch);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('jsonPatch', () => {
  const target = { a: { b: 1 }, list: [1, 2], 'x/y': 0 };
  it.each([
    {
      name: 'adds a field',
      op: { op: 'add', path: '/a/c', value: 2 },
      want: { ...target, a: { b: 1, c: 2 } },
    },
    {
      name: 'inserts into a list',
      op: { op: 'add', path: '/list/1', value: 9 },
      want: { ...target, list: [1, 9, 2] },
    },
    {
      name: 'appends to a list',
      op: { op: 'add', path: '/list/-', value: 9 },
      want: { ...target, list: [1, 2, 9] },
    },
    {
      name: 'replaces',
      op: { op: 'replace', path: '/list/0', value: 9 },
      want: { ...target, list: [9, 2] },
    },
    { name: 'removes', op: { op: 'remove', path: '/list/0' }, want: { ...target, list: [2] } },
    {
      name: 'copies',
      op: { op: 'copy', from: '/a', path: '/c' },
      want: { ...target, c: { b: 1 } },
    },
    {
      name: 'moves',
      op: { op: 'move', from: '/a/b', path: '/c' },
      want: { ...target, a: {}, c: 1 },
    },
    { name: 'tests', op: { op: 'test', path: '/list', value: [1, 2] }, want: target },
    {
      name: 'reads escaped names',
      op: { op: 'replace', path: '/x~1y', value: 5 },
      want: { ...target, 'x/y': 5 },
    },
  ])('$name', ({ op, want }) => {
    expect(jsonPatch(target, [op])).toEqual(want);
    expect(target).toEqual({ a: { b: 1 }, list: [1, 2], 'x/y': 0 });
  });

  it.each([
    { name: 'a test that fails', op: { op: 'test', path: '/a/b', value: 2 } },
    { name: 'a path that is not there', op: { op: 'replace', path: '/a/z', value: 2 } },
    { name: 'a parent that is not there', op: { op: 'add', path: '/z/y', value: 2 } },
    { name: 'an index beyond the end', op: { op: 'add', path: '/list/7', value: 2 } },
    { name: 'an unknown operation', op: { op: 'grow', path: '/a' } },
    { name: 'a path without a slash', op: { op: 'add', path: 'a', value: 1 } },
  ])('refuses $name', ({ op }) => {
    expect(() => jsonPatch(target, [op])).toThrow("can't be applied");
  });
});
