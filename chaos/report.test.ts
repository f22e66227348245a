import { describe, expect, it } from '@jest/globals';

import { problemsOf, renderReport, type ChaosReport } from './report.ts';

const process = { name: 'operator-0', pid: 1, memoryMegabytes: 100, handles: 30, udpPorts: 0 };
const report: ChaosReport = {
  ...{ seed: 7, rooms: 2, clients: 'sdk', startedAt: '2026-01-01T00:00:00Z', durationMs: 90_000 },
  control: undefined,
  events: [
    { event: 0, kind: 'drain', targets: ['consumers-1'], from: 0, to: 1, problems: [] },
    {
      event: 1,
      kind: 'drain',
      targets: ['consumers-2'],
      from: 2,
      to: 3,
      problems: ['ada is lost'],
    },
  ],
  gaps: [
    { kind: 'drain', event: 0, page: 'ada', watched: 'bert', ms: 150, hit: true },
    { kind: 'drain', event: 1, page: 'ada', watched: 'bert', ms: 190, hit: true },
    { kind: 'drain', event: 1, page: 'bert', watched: 'ada', ms: 80, hit: false },
  ],
  notRun: [{ kind: 'udp-cut', why: 'the network is not ours' }],
  told: { succeeded: 12, failed: 3 },
  ...{ reloads: 0, rejoins: 1 },
  holdings: {
    before: { processes: [process], rows: {} },
    after: { processes: [{ ...process, memoryMegabytes: 110 }], rows: {} },
  },
  problems: ['a port is left'],
};

describe('the report of a chaos run', () => {
  const text = renderReport(report);

  it('has a line of percentiles for each kind of fault, those of pages that were hit apart', () => {
    const line = text.split('\n').find((each) => each.startsWith('| drain'));
    expect(line?.split('|').map((cell) => cell.trim())).toEqual([
      '',
      'drain',
      'sdk',
      '2',
      '2',
      '150',
      '190',
      '190',
      '190',
      '150',
      '190',
      '190',
      '190',
      '',
    ]);
  });

  it('tells what was not run, what parts hold, and every problem with its event', () => {
    expect(text).toContain('- udp-cut: the network is not ours');
    expect(text).toContain('- operator-0: 100 MB, 30 handles, 0 UDP ports → 110 MB, 30 handles, 0');
    expect(text).toContain('- event 1 (drain: consumers-2): ada is lost');
    expect(problemsOf(report)).toHaveLength(2);
  });

  it('says nothing of problems where there are none', () => {
    const good = { ...report, events: report.events.slice(0, 1), problems: [] };
    expect(problemsOf(good)).toEqual([]);
    expect(renderReport(good)).not.toContain('Problems');
  });
});
