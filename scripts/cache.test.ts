import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildOnce } from './cache.ts';

let parent: string;

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'kube-sfu-cache-'));
});

afterEach(() => rm(parent, { recursive: true, force: true }));

const write =
  (text: string) =>
  (dir: string): Promise<void> =>
    writeFile(path.join(dir, 'file'), text);

describe('buildOnce', () => {
  it('builds when the folder is missing, and not again', async () => {
    const target = path.join(parent, 'new', 'thing');
    await buildOnce(target, write('first'));
    await buildOnce(target, write('second'));
    expect(await readFile(path.join(target, 'file'), 'utf8')).toBe('first');
  });

  it('leaves nothing behind when the build fails', async () => {
    const target = path.join(parent, 'thing');
    const fail = buildOnce(target, async (dir) => {
      await write('half')(dir);
      throw new Error('cut off');
    });
    await expect(fail).rejects.toThrow('cut off');
    expect(await readdir(parent)).toEqual([]);
  });

  it('gives many callers at once the same whole folder', async () => {
    const target = path.join(parent, 'thing');
    await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        await buildOnce(target, write(`built by ${index}`));
        expect(await readFile(path.join(target, 'file'), 'utf8')).toMatch(/^built by \d$/);
      }),
    );
    expect(await readdir(parent)).toEqual(['thing']);
  });

  it('removes what a killed run left behind long ago, and leaves a run alone that is under way', async () => {
    const old = path.join(parent, 'thing.tmp-old');
    await mkdir(old);
    await utimes(old, 0, 0);
    await mkdir(path.join(parent, 'thing.tmp-new'));
    await buildOnce(path.join(parent, 'thing'), write('whole'));
    expect((await readdir(parent)).sort()).toEqual(['thing', 'thing.tmp-new']);
  });
});
