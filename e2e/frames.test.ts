import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';

import { until } from '../testing/until.ts';
import { launchBrowser, type Browser } from './browser.ts';
import { FrameRecorder, gapsBetween } from './frames.ts';

describe('gapsBetween', () => {
  it.each([
    ['no gap where frames keep coming', [200, 400, 600, 800], []],
    ['the time between two frames', [200, 700, 900], [{ from: 200, to: 700 }]],
    ['the time before the first frame', [500, 700, 900], [{ from: 0, to: 500 }]],
    ['the time after the last frame', [200, 400, 600], [{ from: 600, to: 1000 }]],
    ['the whole time where there was no frame', [], [{ from: 0, to: 1000 }]],
    [
      'each of several gaps',
      [400, 600, 1000],
      [
        { from: 0, to: 400 },
        { from: 600, to: 1000 },
      ],
    ],
    ['nothing of what lies outside', [-500, 200, 400, 600, 800, 5000], []],
  ])('finds %s', (_, marks, want) => {
    expect(gapsBetween(marks, { from: 0, to: 1000 }, 300)).toEqual(want);
  });
});

/** Runs inside a page: a tile with what a canvas shows, which changes for as long as there is a timer. */
function showTile(peerId: string): void {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  const tile = document.createElement('div');
  Object.assign(tile.dataset, { testid: 'tile', source: 'video', self: 'false', peerId });
  const video = document.createElement('video');
  Object.assign(video, { srcObject: canvas.captureStream(), muted: true, autoplay: true });
  tile.append(video);
  document.body.append(tile);
  let shade = 0;
  const timer = setInterval(() => {
    shade = (shade + 40) % 256;
    context!.fillStyle = `rgb(${shade} 0 0)`;
    context!.fillRect(0, 0, canvas.width, canvas.height);
  }, 50);
  (globalThis as { freeze?: () => void }).freeze = () => clearInterval(timer);
}

describe('a recorder of frames', () => {
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    browser = await launchBrowser();
    page = await browser.newPage();
  }, 60_000);

  afterAll(() => browser.close());

  it('marks the frames of each peer until there are no more, and the tiles that there are', async () => {
    const frames = await FrameRecorder.start(page);
    const marks = (): Promise<number[]> => frames.marksOf('ana');
    await page.evaluate(showTile, 'ana');
    await until('frames of ana', async () => (await marks()).length > 10);
    await page.evaluate(() => (globalThis as { freeze?: () => void }).freeze?.());
    // A frame that is under way may still come.
    const settled = await until('no more frames', async () => {
      const before = (await marks()).length;
      await page.waitForTimeout(500);
      return (await marks()).length === before ? before : undefined;
    });
    expect(settled).toBeGreaterThan(10);
    expect((await frames.tilesShown()).map(({ tiles }) => tiles)).toEqual([{}, { ana: 1 }]);
    expect(await frames.marksOf('nobody')).toEqual([]);
  }, 60_000);

  it('goes on in a page that was loaded anew', async () => {
    const frames = await FrameRecorder.start(page);
    await page.reload();
    expect(await frames.marksOf('bo')).toEqual([]);
    await page.evaluate(showTile, 'bo');
    await until('frames of bo', async () => (await frames.marksOf('bo')).length > 0);
  }, 60_000);
});
