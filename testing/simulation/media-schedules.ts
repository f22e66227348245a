import fc from 'fast-check';

import type { Track } from './media-client.ts';
import { podNames, SimulatedMediaWorld } from './media-world.ts';
import type { SimulatedTransport } from './mediasoup.ts';
import type { Mishap } from './network.ts';
import {
  lateMs,
  schedules,
  settleForGood,
  settleWorld,
  type Does,
  type Schedule,
} from './schedule.ts';
import { time } from './time.ts';

/** What happens to media nodes, and to the people whose media they carry. */
export type MediaAction =
  | { do: 'come' | 'leave' | 'lose ICE'; person: string }
  | { do: 'publish' | 'unpublish' | 'pause' | 'resume'; person: string; track: Track }
  | { do: 'crash' | 'worker dies'; node: string }
  | { do: 'stop'; node: string; forMs: number }
  | { do: 'close router'; router: number }
  | { do: 'cut'; from: string; to: string; forMs: number }
  | { do: 'store away'; forMs: number }
  | { do: 'store answers lost'; times: number }
  | { do: 'mishap'; mishap: Mishap; from?: string; to?: string; route: string; times: number };

const personNames = ['ann', 'bob', 'cid', 'dan'] as const;
const rooms: Record<string, string> = { ann: 'red', bob: 'red', cid: 'red', dan: 'blue' };
const routes = [
  '',
  'source_pipe_transport',
  'destination_pipe_transport',
  'consume',
  '/state',
  '/demand',
  '/release',
  '/consumer',
  'close_consumers',
  '/transports',
  'messages',
  '/join',
  '/produce',
  'DELETE',
  'PUT',
];

const person = fc.constantFrom(...personNames);
const node = fc.constantFrom(...podNames);
const track = fc.constantFrom<Track>('audio', 'video', 'chat');
const forMs = fc.integer({ min: 100, max: 12_000 });
const times = fc.integer({ min: 1, max: 3 });
const is = <T extends string>(name: T) => fc.constant(name);
const one = <T extends string>(...names: T[]) => fc.constantFrom(...names);

const action: fc.Arbitrary<MediaAction> = fc.oneof(
  fc.record({ do: one('come', 'leave', 'lose ICE'), person }) as fc.Arbitrary<MediaAction>,
  fc.record({
    ...{ do: one('publish', 'publish', 'unpublish', 'pause', 'resume'), person, track },
  }) as fc.Arbitrary<MediaAction>,
  fc.record({ do: one('crash', 'worker dies'), node }) as fc.Arbitrary<MediaAction>,
  fc.record({ do: is('stop'), node, forMs }),
  fc.record({ do: is('close router'), router: fc.nat(5) }),
  fc.record({ do: is('cut'), from: node, to: one(...podNames, 'signaling', '*'), forMs }),
  fc.record({ do: is('store away'), forMs }),
  fc.record({ do: is('store answers lost'), times }),
  fc.record({
    ...{ do: is('mishap'), times, route: fc.constantFrom(...routes) },
    mishap: one('lost request', 'lost answer', 'twice', 'late request', 'late answer'),
  }),
);

export const mediaSchedules = schedules(action, { maxSteps: 10, maxPauseMs: 2_000 });

/** @throws {ScheduleFailure} for what must not be, ever or in the end */
export async function runMediaSchedule({ seed, steps }: Schedule<MediaAction>): Promise<void> {
  time.begin(seed);
  const world = new SimulatedMediaWorld();
  await time.advance(1_500);
  world.person('ann', 'red').set('audio', true);
  world.person('bob', 'red').set('video', true);
  await settleWorld(world);
  for (const { afterMs, ...what } of steps) {
    await time.advance(afterMs);
    act(world, what);
  }
  world.heal();
  await time.advance(lateMs);
  await settleForGood(world);
}

function act(world: SimulatedMediaWorld, action: MediaAction): void {
  const does: Does<MediaAction> = { ...faultsOf(world), ...wishesOf(world) };
  (does[action.do] as (what: MediaAction) => void)(action);
}

type PersonAction = Extract<MediaAction, { person: string }>;

function faultsOf(world: SimulatedMediaWorld): Does<Exclude<MediaAction, PersonAction>> {
  const { network, store } = world;
  return {
    crash: ({ node: name }) => world.crash(name),
    'worker dies': ({ node: name }) => world.node(name)?.workers[0]?.die(),
    stop: ({ node: name, forMs: ms }) => {
      const process = world.node(name)?.process;
      process?.stop();
      time.schedule(ms, () => process?.resume());
    },
    'close router': ({ router }) => world.closeRouter(router),
    cut: ({ from, to, forMs: ms }) => {
      network.cut(from, to);
      time.schedule(ms, () => network.mend(from, to));
    },
    'store away': ({ forMs: ms }) => {
      store.away = true;
      time.schedule(ms, () => {
        store.away = false;
      });
    },
    'store answers lost': ({ times: count }) => {
      store.lostAnswers = count;
    },
    mishap: (rule) => network.disturb(rule),
  };
}

function wishesOf(world: SimulatedMediaWorld): Does<PersonAction> {
  const of = ({ person: name }: PersonAction) => world.person(name, rooms[name] ?? '');
  return {
    come: (action) => of(action).come(),
    leave: (action) => of(action).leave(),
    publish: (action) => of(action).set(action.track, true),
    unpublish: (action) => of(action).set(action.track, false),
    pause: (action) => void of(action).setPaused(action.track, true),
    resume: (action) => void of(action).setPaused(action.track, false),
    'lose ICE': (action) => loseIce(world, of(action).connection?.receivingId ?? ''),
  };
}

function loseIce({ nodes }: SimulatedMediaWorld, transportId: string): void {
  const live = nodes.flatMap(({ ctx }) => ctx.registry.transports.get(transportId) ?? []);
  for (const { transport } of live) (transport as unknown as SimulatedTransport).loseIce();
}
