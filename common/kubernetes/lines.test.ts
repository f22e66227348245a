import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { splitLines } from './lines.ts';

async function* chunksOf(bytes: Uint8Array, sizes: number[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  let from = 0;
  for (const size of sizes) {
    yield bytes.subarray(from, from + size);
    from += size;
  }
  yield bytes.subarray(from);
}

async function linesOf(text: string, sizes: number[] = []): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of splitLines(chunksOf(Buffer.from(text), sizes))) lines.push(line);
  return lines;
}

describe('splitLines', () => {
  it.each([
    { name: 'nothing of nothing', text: '', want: [] },
    { name: 'each line', text: 'a\nb\n', want: ['a', 'b'] },
    { name: 'a last line without its end', text: 'a\nb', want: ['a', 'b'] },
    { name: 'no empty lines', text: '\n\na\n\n', want: ['a'] },
  ])('gives $name', async ({ text, want }) => {
    expect(await linesOf(text)).toEqual(want);
  });

  it('gives the same however the bytes are cut, within a character as well', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme' })),
        fc.array(fc.integer({ min: 0, max: 5 })),
        async (items, sizes) => {
          const text = items.join('\n');
          const want = text.split('\n').filter((line) => line !== '');
          expect(await linesOf(text, sizes)).toEqual(want);
        },
      ),
    );
  });
});
