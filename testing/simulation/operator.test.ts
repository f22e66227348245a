import { expect, it, jest } from '@jest/globals';

import { checkSchedules, runsOf } from './schedule.ts';
import { simulate } from './simulate.ts';

simulate();
const { operatorSchedules, runOperatorSchedule } = await import('./operator-schedules.ts');

jest.setTimeout(600_000);

it('the operator brings rooms, pools and rows in order after whatever happens', async () => {
  const runs = runsOf(1_000);
  expect(await checkSchedules(operatorSchedules, runs, runOperatorSchedule)).toBe(runs);
});
