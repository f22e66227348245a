import { afterEach, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';

import { until } from '../../../testing/until.ts';
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

describe('a recorder of frames', () => {
  /** Evaluates in this process what a page would. */
  const page = {
    evaluate: (work: (argument: unknown) => unknown, argument: unknown) => {
      return Promise.resolve(work(argument));
    },
  } as unknown as Page;
  const place = globalThis as { __kubeSfu?: object; __kubeSfuFrames?: { stop: () => void } };

  afterEach(() => {
    place.__kubeSfuFrames?.stop();
    delete place.__kubeSfu;
    delete place.__kubeSfuFrames;
  });

  const showConsumers = (consumers: () => object[]): void => {
    place.__kubeSfu = { snapshot: () => Promise.resolve({ consumers: consumers() }) };
  };

  it('marks each new frame of a video, also when its consumer is another one with as many frames', async () => {
    const ada = { peerId: 'ada', id: 'c1', source: 'video', framesDecoded: 7 };
    showConsumers(() => [
      ada,
      { ...ada, peerId: 'bert', framesDecoded: 0 },
      { ...ada, peerId: 'cleo', source: 'audio' },
    ]);
    const recorder = await FrameRecorder.start(page);
    const marks = async (count: number): Promise<void> => {
      await until(`${count} marks`, async () => (await recorder.marksOf('ada')).length === count);
    };
    await marks(1);
    ada.framesDecoded = 8;
    await marks(2);
    ada.id = 'c2';
    await marks(3);
    expect(await recorder.marksOf('bert')).toEqual([]);
    expect(await recorder.marksOf('cleo')).toEqual([]);
  });

  it('goes on after the page could not tell', async () => {
    place.__kubeSfu = { snapshot: () => Promise.reject(new Error('no')) };
    const recorder = await FrameRecorder.start(page);
    showConsumers(() => [{ peerId: 'ada', id: 'c1', source: 'video', framesDecoded: 1 }]);
    await until('a mark', async () => (await recorder.marksOf('ada')).length === 1);
  });

  it('says so when the page does not record', async () => {
    const recorder = await FrameRecorder.start(page);
    place.__kubeSfuFrames?.stop();
    delete place.__kubeSfuFrames;
    await expect(recorder.marksOf('ada')).rejects.toThrow('does not record');
  });
});
