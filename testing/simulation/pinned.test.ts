import { describe, it, jest } from '@jest/globals';

import type { MediaAction } from './media-schedules.ts';
import type { OperatorAction } from './operator-schedules.ts';
import type { Schedule } from './schedule.ts';
import { simulate } from './simulate.ts';

simulate();
const { runMediaSchedule } = await import('./media-schedules.ts');
const { runOperatorSchedule } = await import('./operator-schedules.ts');

jest.setTimeout(120_000);

/** Schedules that found something once, each by what went wrong then. */
const operator: Record<string, Schedule<OperatorAction>> = {
  'a node whose pod is seen late to have restarted keeps its rows': {
    seed: 0,
    steps: [
      { afterMs: 0, do: 'crash node', node: 0 },
      { afterMs: 0, do: 'API away', forMs: 984 },
      { afterMs: 0, do: 'refuse routers', node: 0, times: 1 },
    ],
  },
};

const media: Record<string, Schedule<MediaAction>> = {
  'a watcher hears of the end of a consumer whose producer’s row went first': {
    seed: 0,
    steps: [
      { afterMs: 269, do: 'store answers lost', times: 1 },
      { afterMs: 841, do: 'cut', from: 'p', to: 'p', forMs: 100 },
      { afterMs: 901, do: 'store answers lost', times: 3 },
      { afterMs: 482, do: 'close router', router: 1 },
      { afterMs: 270, do: 'store answers lost', times: 2 },
      { afterMs: 388, do: 'mishap', times: 2, route: '/consumer', mishap: 'lost answer' },
    ],
  },
};

describe('the operator', () => {
  it.each(Object.entries(operator))('%s', (_, schedule) => runOperatorSchedule(schedule));
});

describe('media nodes', () => {
  it.each(Object.entries(media))('%s', (_, schedule) => runMediaSchedule(schedule));
});
