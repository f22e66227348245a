import fc from 'fast-check';

import { assertUnreachable } from '../../common/errors.ts';
import type { Track } from './media-client.ts';
import { podNames, SimulatedMediaWorld } from './media-world.ts';
import type { SimulatedTransport } from './mediasoup.ts';
import type { Mishap } from './network.ts';
import { lateMs, schedules, settleWorld, type Schedule } from './schedule.ts';
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

export const mediaSchedules = schedules(action, { maxSteps: 14, maxPauseMs: 3_000 });

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
  await settleWorld(world);
}

function act(world: SimulatedMediaWorld, action: MediaAction): void {
  const { network, store } = world;
  switch (action.do) {
    case 'crash':
      return world.crash(action.node);
    case 'worker dies':
      return world.node(action.node)?.workers[0]?.die();
    case 'stop': {
      const process = world.node(action.node)?.process;
      process?.stop();
      time.schedule(action.forMs, () => process?.resume());
      return;
    }
    case 'close router':
      return world.closeRouter(action.router);
    case 'cut':
      network.cut(action.from, action.to);
      time.schedule(action.forMs, () => network.mend(action.from, action.to));
      return;
    case 'store away':
      store.away = true;
      time.schedule(action.forMs, () => {
        store.away = false;
      });
      return;
    case 'store answers lost':
      store.lostAnswers = action.times;
      return;
    case 'mishap':
      return network.disturb(action);
    case 'come':
    case 'leave':
    case 'lose ICE':
    case 'publish':
    case 'unpublish':
    case 'pause':
    case 'resume':
      return actOnPerson(world, action);
    default:
      return assertUnreachable(action);
  }
}

type PersonAction = Extract<MediaAction, { person: string }>;

function actOnPerson(world: SimulatedMediaWorld, action: PersonAction): void {
  const person = world.person(action.person, rooms[action.person] ?? '');
  switch (action.do) {
    case 'come':
      return person.come();
    case 'leave':
      return person.leave();
    case 'publish':
      return person.set(action.track, true);
    case 'unpublish':
      return person.set(action.track, false);
    case 'pause':
      return void person.setPaused(action.track, true);
    case 'resume':
      return void person.setPaused(action.track, false);
    case 'lose ICE':
      return loseIce(world, person.connection?.receivingId ?? '');
    default:
      return assertUnreachable(action);
  }
}

function loseIce({ nodes }: SimulatedMediaWorld, transportId: string): void {
  const live = nodes.flatMap(({ ctx }) => ctx.registry.transports.get(transportId) ?? []);
  for (const { transport } of live) (transport as unknown as SimulatedTransport).loseIce();
}
