import { describe, expect, it } from '@jest/globals';

import type { NodeStatus } from '../../common/wire/media-node.ts';
import { filledRouters } from './pressure.ts';

/** A node with so many consumers on each worker, and a router of so many peers on each. */
const status = (consumers: number[], peers = consumers.map(() => 1)): NodeStatus =>
  ({
    workers: consumers.map((count, index) => ({ index, consumers: count })),
    routers: peers.map((count, i) => ({ routerId: `r${i}`, workerIndex: i, peers: count })),
  }) as unknown as NodeStatus;

describe('filledRouters', () => {
  it.each<[string, NodeStatus | undefined, NodeStatus | undefined, string[]]>([
    [
      'finds the routers of a worker that has filled up',
      status([50, 50]),
      status([80, 79]),
      ['r0'],
    ],
    ['finds those of a node that is seen for the first time', undefined, status([90]), ['r0']],
    ['leaves out a worker that was full already', status([80]), status([95]), []],
    ['leaves out routers without peers', status([0]), status([90], [0]), []],
    ['finds none on a worker that has emptied', status([90]), status([10]), []],
    ['finds none on a node that is gone', status([90]), undefined, []],
  ])('%s', (_name, before, now, want) => {
    expect(filledRouters(before, now, 80)).toEqual(want);
  });
});
