import { describe, expect, it } from '@jest/globals';

import type { ConsoleNode } from '../../../common/wire/console.ts';
import {
  collectPipes,
  layoutPicture,
  loadLevel,
  roomHues,
  routerKey,
  type Box,
} from './picture-layout.ts';

const load = {
  peers: 0,
  producers: 0,
  consumers: 0,
  dataProducers: 0,
  dataConsumers: 0,
  cpuPercent: 0,
};

type Role = ConsoleNode['role'];

function node(name: string, role: Role, routers: Record<string, number> = {}): ConsoleNode {
  return {
    instanceId: `instance-${name}`,
    pid: 1,
    podName: name,
    pool: 'pool',
    role,
    version: '1',
    startedAt: '2030-01-01T00:00:00Z',
    state: 'Ready',
    url: 'http://127.0.0.1:5000',
    load,
    workers: [0, 1].map((index) => ({
      index,
      pid: index,
      port: index,
      cpuPercent: 0,
      routers: 0,
      consumers: 0,
    })),
    routers: Object.entries(routers).map(([routerId, workerIndex]) => ({
      routerId,
      roomId: routerId.split('-')[0] ?? '',
      role,
      generation: 1,
      workerIndex,
      peers: 0,
      transports: 0,
      producers: 0,
      consumers: 0,
      dataProducers: 0,
      dataConsumers: 0,
    })),
    pipes: [],
  };
}

type End = 'source' | 'destination';

function withPipe(
  one: ConsoleNode,
  end: End,
  ends: { routerId: string; remote: ConsoleNode; remoteRouterId: string; producers: number },
): ConsoleNode {
  const { routerId, remote, remoteRouterId, producers } = ends;
  const pipe = {
    pipeTransportId: `${one.podName}-${routerId}-${remoteRouterId}`,
    end,
    routerId,
    remoteRouterId,
    remoteInstanceId: remote.instanceId,
    producers,
    dataProducers: 1,
  };
  return { ...one, pipes: [...one.pipes, pipe] };
}

const producer = node('producer-0', 'Producer', { 'red-p': 0, 'blue-p': 1 });
const consumer = node('consumer-0', 'Consumer', { 'red-c': 0 });
const piped = [
  withPipe(producer, 'source', {
    routerId: 'red-p',
    remote: consumer,
    remoteRouterId: 'red-c',
    producers: 3,
  }),
  withPipe(consumer, 'destination', {
    routerId: 'red-c',
    remote: producer,
    remoteRouterId: 'red-p',
    producers: 2,
  }),
];

const inside = (inner: Box, outer: Box): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;

describe('collectPipes', () => {
  it('takes the two ends of a pipe for one', () => {
    expect(collectPipes(piped)).toEqual([
      {
        key: 'instance-producer-0/red-p→instance-consumer-0/red-c',
        from: routerKey('instance-producer-0', 'red-p'),
        to: routerKey('instance-consumer-0', 'red-c'),
        roomId: 'red',
        producers: 3,
        dataProducers: 1,
      },
    ]);
  });

  it.each([0, 1])('knows a pipe of which only end %i answered', (index) => {
    const [pipe] = collectPipes(piped.slice(index, index + 1));
    expect(pipe).toMatchObject({
      from: routerKey('instance-producer-0', 'red-p'),
      to: routerKey('instance-consumer-0', 'red-c'),
    });
  });
});

describe('layoutPicture', () => {
  const wide = layoutPicture([consumer, node('both-0', 'Both'), ...piped.slice(0, 1)], 1200);

  it('puts roles in columns, left to right as media flows', () => {
    const left = (name: string) =>
      wide.nodes.find(({ node: { podName } }) => podName === name)!.box.x;
    expect(left('producer-0')).toBeLessThan(left('both-0'));
    expect(left('both-0')).toBeLessThan(left('consumer-0'));
  });

  it('puts nodes below each other where the width allows no columns', () => {
    const narrow = layoutPicture(piped, 300);
    expect(new Set(narrow.nodes.map(({ box }) => box.x)).size).toBe(1);
    for (const { box } of narrow.nodes) expect(box.x + box.width).toBeLessThanOrEqual(300);
  });

  it.each([300, 700, 1200, 2400])('keeps all boxes inside each other at width %i', (width) => {
    const picture = layoutPicture(
      [...piped, node('consumer-1', 'Consumer', { 'blue-c': 1 })],
      width,
    );
    const whole = { x: 0, y: 0, width: picture.width, height: picture.height };
    for (const { box, workers } of picture.nodes) {
      expect(inside(box, whole)).toBe(true);
      for (const worker of workers) {
        expect(inside(worker.box, box)).toBe(true);
        for (const router of worker.routers) expect(inside(router.box, worker.box)).toBe(true);
      }
    }
  });

  it('puts each router on its worker', () => {
    const box = wide.nodes.find(({ node: { podName } }) => podName === 'producer-0');
    expect(box?.workers.map(({ routers }) => routers.map(({ router }) => router.routerId))).toEqual(
      [['red-p'], ['blue-p']],
    );
  });

  it('leaves out a pipe to a router that no node has', () => {
    expect(layoutPicture(piped, 1200).pipes).toHaveLength(1);
    expect(layoutPicture(piped.slice(0, 1), 1200).pipes).toEqual([]);
  });

  it('is the same whatever the order of the nodes', () => {
    expect(layoutPicture([...piped].reverse(), 900)).toEqual(layoutPicture(piped, 900));
  });

  it('is empty without nodes', () => {
    expect(layoutPicture([], 900)).toMatchObject({ nodes: [], pipes: [] });
  });
});

describe('loadLevel', () => {
  it.each([
    [0, 'calm'],
    [49, 'calm'],
    [50, 'busy'],
    [80, 'hot'],
    [140, 'hot'],
  ])('reads %i %% as %s', (percent, want) => {
    expect(loadLevel(percent)).toBe(want);
  });
});

describe('roomHues', () => {
  it('gives a room the same colour whatever the order', () => {
    expect(roomHues(['b', 'a', 'b'])).toEqual(roomHues(['a', 'b']));
  });
});
