import fc from 'fast-check';

import type { Mishap } from './network.ts';
import { SimulatedOperatorWorld } from './operator-world.ts';
import {
  checkWorld,
  lateMs,
  schedules,
  settleForGood,
  settleWorld,
  type Does,
  type Schedule,
} from './schedule.ts';
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

export const operatorSchedules = schedules(action, { maxSteps: 9, maxPauseMs: 4_000 });

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
  await settleForGood(world);
}

const pick = (names: readonly string[], index: number): string =>
  names[index % Math.max(1, names.length)] ?? '';

type NodeAction = Extract<OperatorAction, { node: number }>;

function act(world: SimulatedOperatorWorld, action: OperatorAction): void {
  const does: Does<OperatorAction> = {
    ...{ ...faultsOf(world), ...changesOf(world), ...nodeFaultsOf(world) },
  };
  (does[action.do] as (what: OperatorAction) => void)(action);
}

type Change = Extract<OperatorAction, { pool: string } | { room: string }>;

function changesOf(world: SimulatedOperatorWorld): Does<Change> {
  return {
    'scale pool': ({ pool: name, replicas }) => world.scalePool(name, replicas),
    'roll pool': ({ pool: name }) => world.rollPool(name),
    'apply room': ({ room: name, ...size }) => world.applyRoom(name, size),
    'delete room': ({ room: name }) => world.deleteRoom(name),
    'set peers': ({ room: name, peers }) => void world.peers.set(name, peers),
  };
}

function faultsOf(
  world: SimulatedOperatorWorld,
): Does<Exclude<OperatorAction, Change | NodeAction>> {
  const { kubernetes, network } = world;
  return {
    'crash operator': ({ forMs: ms }) => world.crashOperator(ms),
    'stop operator': ({ forMs: ms }) => {
      const { operator } = world;
      operator?.stop();
      time.schedule(ms, () => operator?.resume());
    },
    'crash operator at write': ({ when, writes }) => world.crashOperatorAtWrite(when, writes),
    'API away': ({ forMs: ms }) => {
      kubernetes.goAway();
      time.schedule(ms, () => kubernetes.comeBack());
    },
    'store away': ({ forMs: ms }) => {
      world.storeAway = true;
      time.schedule(ms, () => {
        world.storeAway = false;
      });
    },
    'API fault': ({ fault }) => kubernetes.disturb(fault),
    mishap: (rule) => network.disturb({ from: 'operator', ...rule }),
  };
}

function nodeFaultsOf(world: SimulatedOperatorWorld): Does<NodeAction> {
  const nameOf = ({ node: index }: NodeAction): string => pick(world.podNames, index);
  const of = (action: NodeAction) => world.nodeIn(nameOf(action));
  return {
    'crash node': (action) => world.kubelet.crash(nameOf(action)),
    'delete pod': (action) => world.deletePod(nameOf(action)),
    'lose worker': (action) => of(action)?.routers.clear(),
    'drain node': (action) => {
      const running = of(action);
      if (running) running.state = 'Draining';
    },
    'silence node': (action) => silence(world, nameOf(action), action),
    'refuse routers': (action) => {
      const running = of(action);
      if (running) running.refusals = action.times;
    },
  };
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
