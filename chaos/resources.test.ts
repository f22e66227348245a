import { describe, expect, it } from '@jest/globals';

import { compareHoldings, type Holding, type Holdings } from './resources.ts';

const holding = (name: string, change: Partial<Holding> = {}): Holding => ({
  ...{ name, pid: 1, memoryMegabytes: 100, handles: 30, udpPorts: 2 },
  ...change,
});
const holdings = (...processes: Holding[]): Holdings => ({ processes, rows: {} });

describe('compareHoldings', () => {
  const before = holdings(holding('consumers-0'), holding('consumers-1', { udpPorts: 3 }));

  it('finds nothing where a pod took the place of another', () => {
    const after = holdings(
      holding('consumers-7', { memoryMegabytes: 200, handles: 40, udpPorts: 3 }),
    );
    expect(compareHoldings(before, after)).toEqual([]);
  });

  it.each([
    ['memory', { memoryMegabytes: 251 }, 'consumers-0 has 251 MB of memory, 100 before'],
    ['handles', { handles: 46 }, 'consumers-0 has 46 open handles, 30 before'],
    ['ports', { udpPorts: 4 }, 'consumers-0 has 4 bound UDP ports, 3 before'],
  ])('finds %s that nobody gave back', (_, change, want) => {
    expect(compareHoldings(before, holdings(holding('consumers-0', change)))).toEqual([want]);
  });

  it('measures a kind of process that was not there before by nothing', () => {
    expect(compareHoldings(before, holdings(holding('stranger-0')))).toContain(
      'stranger-0 has 30 open handles, 0 before',
    );
  });
});
