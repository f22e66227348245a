import { expect, it, jest } from '@jest/globals';

import { checkSchedules, runsOf } from './schedule.ts';
import { simulate } from './simulate.ts';

simulate();
const { mediaSchedules, runMediaSchedule } = await import('./media-schedules.ts');

jest.setTimeout(600_000);

it('media nodes carry what is published to all who watch, and nothing else, after whatever happens', async () => {
  const runs = runsOf(1_000);
  expect(await checkSchedules(mediaSchedules, runs, runMediaSchedule)).toBe(runs);
});
