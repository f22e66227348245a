import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';

import type { NodeStatus } from '../common/wire/media-node.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { until } from '../testing/until.ts';
import { launchBrowser, type Browser } from './browser.ts';
import { startTestPlatform, type TestPlatform } from './platform.ts';
import { RoomPage, type ConsumerSnapshot } from './room-page.ts';

interface Frames {
  /** When frames of the watched video were drawn, in milliseconds. */
  times: number[];
}

/** Notes when each frame of the other's video is drawn. */
const record = ({ page }: RoomPage): Promise<void> =>
  page.evaluate(() => {
    const place = globalThis as unknown as { frames?: Frames };
    const frames = (place.frames = { times: [] as number[] });
    const video = document.querySelector<HTMLVideoElement>(
      '[data-testid=tile][data-self=false][data-source=video] video',
    );
    const note = (): void => {
      frames.times.push(performance.now());
      video?.requestVideoFrameCallback(note);
    };
    video?.requestVideoFrameCallback(note);
  });

/** The longest time without a new frame since {@link record}, in milliseconds, up to now. */
const longestGap = ({ page }: RoomPage): Promise<number> =>
  page.evaluate(() => {
    const { times } = (globalThis as unknown as { frames: Frames }).frames;
    const all = [...times, performance.now()];
    return Math.round(Math.max(...all.slice(1).map((time, index) => time - all[index]!)));
  });

/**
 * Two pages that see each other while what their media goes through is taken away. They stay joined, and the other's
 * subscription stays the same one.
 */
describe('a call', () => {
  const cleanup = new Cleanup();
  const gaps: Record<string, number[]> = {};
  let test: TestPlatform;
  let browser: Browser;
  let ada: RoomPage;
  let bert: RoomPage;

  beforeAll(async () => {
    test = await startTestPlatform({ name: 'moves' });
    cleanup.add(() => test.stop());
    await setPool('producers', { replicas: 2 });
    await nodesToBe('producers', 2);
    browser = await launchBrowser();
    cleanup.add(() => browser.close());
    const common = { baseUrl: test.pageUrl, room: 'moves', videoHeight: 180 };
    ada = await RoomPage.join(await browser.newPage(), { ...common, name: 'ada', replica: 0 });
    bert = await RoomPage.join(await browser.newPage(), { ...common, name: 'bert', replica: 1 });
    await ada.seesAndHears('bert');
    await bert.seesAndHears('ada');
  }, 240_000);

  afterAll(async () => {
    await writeFile(path.join(test.platform.resourcesDir, '../gaps.json'), JSON.stringify(gaps));
    await cleanup.run();
  }, 60_000);

  /** Edits a pool's file as its user would. */
  async function setPool(name: string, fields: Record<string, unknown>): Promise<void> {
    const file = path.join(test.platform.resourcesDir, 'pools.yaml');
    const documents = parseAllDocuments(await readFile(file, 'utf8'));
    const pool = documents.find((document) => document.getIn(['metadata', 'name']) === name)!;
    for (const [key, value] of Object.entries(fields))
      pool.setIn(['spec', ...key.split('.')], value);
    await writeFile(file, documents.map(String).join(''));
  }

  /** None while one of them does not answer. */
  const nodesOf = async (name: string): Promise<NodeStatus[]> => {
    const statuses = await test.statuses().catch((): NodeStatus[] => []);
    return statuses.filter(({ pool }) => pool === name);
  };

  const nodesToBe = (name: string, count: number) =>
    until(
      `${count} nodes of ${name}`,
      async () => {
        const nodes = await nodesOf(name);
        return nodes.length === count ? nodes : undefined;
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    );

  const video = async (page: RoomPage, of: string): Promise<ConsumerSnapshot> =>
    (await page.consumer(of, 'video'))!;

  /** Takes something away, and waits until each page sees and hears the other by what is left. */
  async function survive(
    what: string,
    takeAway: () => Promise<void>,
    isOver: () => Promise<boolean>,
  ) {
    const before = [await video(ada, 'bert'), await video(bert, 'ada')];
    await Promise.all([record(ada), record(bert)]);
    await takeAway();
    await until(`${what}: to be over`, isOver, { timeoutMs: 60_000, intervalMs: 200 });
    await Promise.all([ada.seesAndHears('bert'), bert.seesAndHears('ada')]);
    gaps[what] = [await longestGap(ada), await longestGap(bert)];
    const after = [await video(ada, 'bert'), await video(bert, 'ada')];
    expect(after.map(({ subscription }) => subscription)).toEqual(
      before.map(({ subscription }) => subscription),
    );
    return { before, after };
  }

  it('goes on when the node that a page watches from is drained', async () => {
    const ids = async () =>
      [await video(ada, 'bert'), await video(bert, 'ada')].map(({ id }) => id);
    const old = await ids();
    await survive(
      'drain of a consumer node',
      () => setPool('consumers', { replicas: 1, 'drain.timeoutSeconds': 30 }),
      async () =>
        (await nodesOf('consumers')).length === 1 && (await ids()).some((id, i) => id !== old[i]),
    );
  }, 120_000);

  it('goes on when the node that a page watches from dies', async () => {
    await setPool('consumers', { replicas: 2 });
    const victim = (await nodesToBe('consumers', 2)).find(({ load }) => load.consumers > 0)!;
    const old = await video(ada, 'bert');
    await survive(
      'death of a consumer node',
      () => Promise.resolve(void process.kill(victim.pid, 'SIGKILL')),
      async () => (await video(ada, 'bert')).id !== old.id,
    );
  }, 120_000);

  it('goes on when the node that both publish to dies', async () => {
    await nodesToBe('consumers', 2);
    const victim = (await nodesToBe('producers', 2)).find(({ load }) => load.producers > 0)!;
    const old = await video(ada, 'bert');
    await survive(
      'death of a producer node',
      () => Promise.resolve(void process.kill(victim.pid, 'SIGKILL')),
      async () => (await video(ada, 'bert')).id !== old.id,
    );
  }, 120_000);

  it('goes on when a signaling replica dies', async () => {
    const replica = test.platform.children.find(({ name }) => name === 'signaling-0')!;
    const old = await video(ada, 'bert');
    const { after } = await survive(
      'death of a signaling replica',
      () => Promise.resolve(void process.kill(replica.pid()!, 'SIGKILL')),
      async () => {
        const { connection } = await ada.snapshot();
        return connection === 'reconnecting';
      },
    );
    await until(
      'ada to be connected',
      async () => (await ada.snapshot()).connection === 'connected',
    );
    // The session is the same: nothing was made anew.
    expect(after[0]!.id).toBe(old.id);
  }, 120_000);
});
