import { describe, expect, it } from '@jest/globals';
import { check } from 'prettier';

import type { JoinReport, JoinResult } from './join.ts';
import type { OperatorResult } from './operator.ts';
import { renderReport, type Report } from './report.ts';

const makeJoin = (changes: Partial<JoinResult> = {}): JoinResult => ({
  size: 100,
  rounds: 50,
  answered: { p50: 4.321, p99: 12.5 },
  lastConsumer: { p50: 80, p99: 200 },
  consumers: 297,
  consumersPerSecond: 3712.4,
  fillConsumersPerSecond: undefined,
  statements: 9,
  ...changes,
});

const makeRoom = (changes: Partial<JoinReport> = {}): JoinReport => ({
  joins: [makeJoin()],
  leave: { peers: 99, emptyAfter: 1234 },
  ...changes,
});

const makeOperator = (changes: Partial<OperatorResult> = {}): OperatorResult => ({
  rooms: 10_000,
  nodes: 200,
  placedAfter: 50,
  reconcileP99Ms: 100,
  writes: 3.01,
  nodeCalls: 2,
  cpuMs: 3,
  memoryMiB: 250,
  coldStart: 10,
  coldStartWrites: 3,
  ...changes,
});

const makeReport = (changes: Partial<Report> = {}): Report => ({
  measuredAt: '2026-01-02T03:04:05.000Z',
  machine: {
    cores: 2,
    model: 'A processor',
    memoryGiB: 8,
    kernel: 'Linux 6',
    node: 'v24.0.0',
    mediasoup: '3.0.0',
    worker: 'the binary of the npm package',
  },
  room: makeRoom(),
  packets: {
    costs: [{ receivers: 10, direct: 8, pipe: 10, lost: 0.001 }],
    latency: { packets: 500, direct: { p50: 0.2, p99: 0.5 }, pipe: { p50: 0.35, p99: 0.9 } },
  },
  operator: [makeOperator({ rooms: 1000, placedAfter: 5 }), makeOperator()],
  ...changes,
});

/** The cells of the table row that starts with this one. */
const rowOf = (text: string, first: string): string[] | undefined =>
  text
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .find((cells) => cells[1] === first)
    ?.slice(1, -1);

describe('renderReport', () => {
  it('is formatted as the project’s other files', async () => {
    await expect(check(renderReport(makeReport()), { parser: 'markdown' })).resolves.toBe(true);
  });

  it('has a row for each room size, with a dash for what was not measured', () => {
    const text = renderReport(makeReport());
    expect(rowOf(text, '100')).toEqual([
      '100',
      '50',
      '4.32',
      '13',
      '80',
      '200',
      '297',
      '3712',
      '–',
      '9',
    ]);
  });

  it('gives a pipe’s cost as a ratio and its latency as a difference', () => {
    const text = renderReport(makeReport());
    expect(rowOf(text, '10')).toEqual(['10', '8.0', '10.0', '1.25', '0.10 %']);
    expect(rowOf(text, 'Added by the pipe')).toEqual(['Added by the pipe', '0.15', '0.40']);
  });

  it.each([
    { lastConsumer: { p50: 80, p99: 249 }, want: 'its last consumer below that too: met' },
    { lastConsumer: { p50: 80, p99: 250 }, want: 'its last consumer below that too: missed' },
  ])('says whether the aim of 250 ms is met at $lastConsumer.p99 ms', ({ lastConsumer, want }) => {
    expect(
      renderReport(makeReport({ room: makeRoom({ joins: [makeJoin({ lastConsumer })] }) })),
    ).toContain(want);
  });

  it('says nothing of an aim for a room that was not measured', () => {
    expect(
      renderReport(makeReport({ room: makeRoom({ joins: [makeJoin({ size: 50 })] }) })),
    ).not.toContain('Aim: the join');
  });

  it.each([
    {
      emptyAfter: 1234,
      want: 'all 99 publishing peers leave at once, the tables are empty after 1234 ms',
    },
    { emptyAfter: undefined, want: 'the tables are not empty in time' },
  ])('says what a leave of all came to', ({ emptyAfter, want }) => {
    const room = makeRoom({ leave: { peers: 99, emptyAfter } });
    expect(renderReport(makeReport({ room }))).toContain(want);
  });

  it('has a row for each number of rooms', () => {
    expect(rowOf(renderReport(makeReport()), '10000')).toEqual([
      '10000',
      '200',
      '100',
      '3.01',
      '2.00',
      '3.00',
      '250',
      '10.0',
      '3',
    ]);
  });

  it.each([
    { name: 'the rate', change: { placedAfter: 70 }, want: '150 rooms a second: missed' },
    { name: 'the writes', change: { writes: 4.1 }, want: 'at most 4 writes a room: missed' },
    { name: 'the memory', change: { memoryMiB: 300 }, want: 'below 300 MiB: missed' },
    { name: 'the cold start', change: { coldStart: 20 }, want: 'cold start below 20 s: missed' },
    { name: 'the growth', change: { cpuMs: 3.9 }, want: '1.30 (below 1.25: missed)' },
    { name: 'none', change: {}, want: '1.00 (below 1.25: met)' },
  ])('says which of the aims of the operator is missed: $name', ({ change, want }) => {
    const operator = [makeOperator({ rooms: 1000 }), makeOperator(change)];
    expect(renderReport(makeReport({ operator }))).toContain(want);
  });

  it('leaves out the part that was not run', () => {
    const { packets, ...rest } = makeReport();
    expect(packets && renderReport(rest)).not.toContain('## Forwarding');
  });
});
