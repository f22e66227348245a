import { describe, expect, it } from '@jest/globals';

import { renderReport } from './report.ts';

describe('renderReport', () => {
  it('shows what each page noticed, what took how long, and what was not run', () => {
    const text = renderReport([
      { type: 'page', action: 'scale', page: 'ada', longestGapMs: 312, recoveredMs: undefined },
      { type: 'time', what: 'drain', ms: 12_345 },
      { type: 'page', action: 'scale', page: 'bert', longestGapMs: 2500, recoveredMs: 4000 },
      { type: 'notRun', what: 'node cut', why: 'no access to the machines' },
    ]);
    expect(text).toBe(`\
| action | page | longest time without frames | all frames again after |
| ------ | ---- | --------------------------- | ---------------------- |
| scale  | ada  | 0.3 s                       | no gap                 |
| scale  | bert | 2.5 s                       | 4.0 s                  |

| what  | time   |
| ----- | ------ |
| drain | 12.3 s |

| not run  | why                       |
| -------- | ------------------------- |
| node cut | no access to the machines |
`);
  });

  it('leaves out the table of what was not run where all was', () => {
    expect(renderReport([])).not.toContain('not run');
  });
});
