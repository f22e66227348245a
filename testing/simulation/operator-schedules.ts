import { assertUnreachable } from '../../common/errors.ts';
import fc from 'fast-check';

import type { Mishap } from './network.ts';
import { SimulatedOperatorWorld } from './operator-world.ts';
import { checkWorld, lateMs, schedules, settleWorld, type Schedule } from './schedule.ts';
import { time } from './time.ts';

/** What happens to the operator and what it works with. Nodes are meant by a number: of those that run, in turn. */
export type OperatorAction =
  | { do: 'crash node' | 'delete pod' | 'lose worker' | 'drain node'; node: number }
  | { do: 'silence node'; node: number; how: 'stopped' | 'deaf' | 'mute' | 'lost'; forMs: number }
  | { do: 'refuse routers'; node: number; times: number }
  | { do: 'crash operator' | 'stop operator' | 'API away' | 'store away'; forMs: number }
  | { do: 'crash operator at write'; when: 'before' | 'after'; writes: number }
  | { do: 'API fault'; fault: 'refuse' | 'lose answer' }
  | { do: 'mishap'; mishap: Mishap; route: 'PUT' | 'DELETE' | 'status' | 'drain'; times: number }
  | { do: 'scale pool'; pool: string; replicas: number }
  | { do: 'roll pool'; pool: string }
  | { do: 'apply room'; room: string; producers: number; consumers: number }
  | { do: 'delete room'; room: string }
  | { do: 'set peers'; room: string; peers: number };

const poolNames = ['p', 'c', 'b'] as const;
const roomNames = ['red', 'green', 'blue', 'grey'] as const;

const node = fc.nat(7);
const forMs = fc.integer({ min: 200, max: 15_000 });
const times = fc.integer({ min: 1, max: 3 });
const pool = fc.constantFrom(...poolNames);
const room = fc.constantFrom(...roomNames);
const is = <T extends string>(name: T) => fc.constant(name);

const action: fc.Arbitrary<OperatorAction> = fc.oneof(
  fc.record({
    ...{ do: fc.constantFrom('crash node', 'delete pod', 'lose worker', 'drain node'), node },
  }) as fc.Arbitrary<OperatorAction>,
  fc.record({
    ...{ do: is('silence node'), node, forMs },
    how: fc.constantFrom('stopped', 'deaf', 'mute', 'lost'),
  }),
  fc.record({ do: is('refuse routers'), node, times }),
  fc.record({
    ...{ do: fc.constantFrom('crash operator', 'stop operator', 'API away', 'store away'), forMs },
  }) as fc.Arbitrary<OperatorAction>,
  fc.record({
    ...{ do: is('crash operator at write'), writes: fc.integer({ min: 1, max: 8 }) },
    when: fc.constantFrom('before', 'after'),
  }),
  fc.record({ do: is('API fault'), fault: fc.constantFrom('refuse', 'lose answer') }),
  fc.record({
    ...{ do: is('mishap'), times, route: fc.constantFrom('PUT', 'DELETE', 'status', 'drain') },
    mishap: fc.constantFrom('lost request', 'lost answer', 'twice', 'late request', 'late answer'),
  }),
  fc.record({ do: is('scale pool'), pool, replicas: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ do: is('roll pool'), pool }),
  fc.record({
    ...{ do: is('apply room'), room },
    producers: fc.integer({ min: 1, max: 2 }),
    consumers: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ do: is('delete room'), room }),
  fc.record({ do: is('set peers'), room, peers: fc.nat(3) }),
);

export const operatorSchedules = schedules(action, { maxSteps: 12, maxPauseMs: 6_000 });

/** @throws {ScheduleFailure} for what must not be, ever or in the end */
export async function runOperatorSchedule({
  seed,
  steps,
}: Schedule<OperatorAction>): Promise<void> {
  time.begin(seed);
  const world = new SimulatedOperatorWorld();
  world.applyPool('p', 'Producer', 2);
  world.applyPool('c', 'Consumer', 2);
  world.applyPool('b', 'Both', 1);
  world.applyRoom('red', { producers: 1, consumers: 2 });
  world.applyRoom('green', { producers: 1, consumers: 1 });
  void world.startOperator();
  await settleWorld(world);
  for (const { afterMs, ...what } of steps) {
    await time.advance(afterMs);
    act(world, what);
    checkWorld(world);
  }
  world.heal();
  await time.advance(lateMs);
  await settleWorld(world);
}

const pick = (names: readonly string[], index: number): string =>
  names[index % Math.max(1, names.length)] ?? '';

function act(world: SimulatedOperatorWorld, action: OperatorAction): void {
  switch (action.do) {
    case 'crash operator':
      return world.crashOperator(action.forMs);
    case 'stop operator': {
      const { operator } = world;
      operator?.stop();
      time.schedule(action.forMs, () => operator?.resume());
      return;
    }
    case 'crash operator at write':
      return world.crashOperatorAtWrite(action.when, action.writes);
    case 'API away':
      world.kubernetes.goAway();
      time.schedule(action.forMs, () => world.kubernetes.comeBack());
      return;
    case 'store away':
      world.storeAway = true;
      time.schedule(action.forMs, () => {
        world.storeAway = false;
      });
      return;
    case 'API fault':
      return world.kubernetes.disturb(action.fault);
    case 'mishap':
      return world.network.disturb({ from: 'operator', ...action });
    case 'scale pool':
      return world.scalePool(action.pool, action.replicas);
    case 'roll pool':
      return world.rollPool(action.pool);
    case 'apply room':
      return world.applyRoom(action.room, action);
    case 'delete room':
      return world.deleteRoom(action.room);
    case 'set peers':
      world.peers.set(action.room, action.peers);
      return;
    case 'crash node':
    case 'delete pod':
    case 'lose worker':
    case 'drain node':
    case 'silence node':
    case 'refuse routers':
      return actOnNode(world, action);
    default:
      return assertUnreachable(action);
  }
}

type NodeAction = Extract<OperatorAction, { node: number }>;

function actOnNode(world: SimulatedOperatorWorld, action: NodeAction): void {
  const podName = pick(world.podNames, action.node);
  const running = world.nodeIn(podName);
  if (!running) return;
  switch (action.do) {
    case 'crash node':
      return world.kubelet.crash(podName);
    case 'delete pod':
      return world.deletePod(podName);
    case 'lose worker':
      running.routers.clear();
      return;
    case 'drain node':
      running.state = 'Draining';
      return;
    case 'silence node':
      return silence(world, podName, action);
    case 'refuse routers':
      running.refusals = action.times;
      return;
    default:
      return assertUnreachable(action);
  }
}

function silence(
  { network, kubelet }: SimulatedOperatorWorld,
  podName: string,
  { how, forMs }: Extract<NodeAction, { do: 'silence node' }>,
): void {
  const process = kubelet.processOf(podName);
  if (how === 'stopped') {
    process?.stop();
    time.schedule(forMs, () => process?.resume());
  } else if (how === 'lost') {
    kubelet.loseMachine(podName);
    network.cut('*', podName);
    network.cut(podName, '*');
  } else if (how === 'deaf') {
    network.cut('operator', podName);
    time.schedule(forMs, () => network.mend('operator', podName));
  } else {
    network.cut(podName, 'operator');
    time.schedule(forMs, () => network.mend(podName, 'operator'));
  }
}
