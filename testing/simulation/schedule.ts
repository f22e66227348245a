import fc from 'fast-check';

import { time } from './time.ts';

/** What happens, and how long after what came before it, in milliseconds. */
export type Step<Action> = Action & { afterMs: number };

/** Faults and events in their order; the seed decides all that is left to chance, as how long each message takes. */
export interface Schedule<Action> {
  seed: number;
  steps: Step<Action>[];
}

type Of<Action, Name> = Action extends { do: infer Names }
  ? Name extends Names
    ? Action
    : never
  : never;

/** What each kind of action does. */
export type Does<Action extends { do: string }> = {
  [Name in Action['do']]: (action: Of<Action, Name>) => void;
};

/** A schedule did not end well. */
class ScheduleFailure extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ScheduleFailure';
  }
}

/** One number for the whole run: `SIMULATION_SEED` sets another, for schedules that were never tried or one that was printed. */
const seed = Number(process.env['SIMULATION_SEED'] ?? 1);

/** How many schedules a layer runs: its share, times `SIMULATION_RUNS` in percent. */
export const runsOf = (share: number): number =>
  Math.ceil((share * Number(process.env['SIMULATION_RUNS'] ?? 100)) / 100);

export const schedules = <Action>(
  action: fc.Arbitrary<Action>,
  { maxSteps, maxPauseMs }: { maxSteps: number; maxPauseMs: number },
): fc.Arbitrary<Schedule<Action>> =>
  fc.record({
    seed: fc.nat(0xffff),
    steps: fc.array(
      fc
        .tuple(fc.nat(maxPauseMs), action)
        .map(([afterMs, what]): Step<Action> => ({ afterMs, ...what })),
      { minLength: 1, maxLength: maxSteps },
    ),
  });

/** Schedules that are tried to find a smaller one that fails. */
const maxShrinks = 100;

/** The schedule as `pinned.test.ts` takes it. */
const formatSchedule = <Action>({ seed: chance, steps }: Schedule<Action>): string =>
  [`{ seed: ${chance}, steps: [`, ...steps.map((step) => `  ${JSON.stringify(step)},`), '] }'].join(
    '\n',
  );

/**
 * Runs random schedules; one that fails is shrunk, and thrown in the form in which it can be pinned.
 *
 * @returns how many ran
 */
export async function checkSchedules<Action>(
  arbitrary: fc.Arbitrary<Schedule<Action>>,
  runs: number,
  run: (schedule: Schedule<Action>) => Promise<void>,
): Promise<number> {
  let ran = 0;
  let failures = 0;
  let shrinks = 0;
  const property = fc.asyncProperty(arbitrary, async (schedule) => {
    // What shrinks further than that is small enough to read.
    if (failures > 0 && ++shrinks > maxShrinks) return;
    ran++;
    try {
      await run(schedule);
    } catch (error) {
      failures++;
      throw error;
    }
  });
  const details = await fc.check(property, { seed, numRuns: runs });
  if (!details.failed) return ran;
  const [smallest] = details.counterexample ?? [];
  const { errorInstance, numShrinks } = details;
  throw new Error(
    `after ${details.numRuns} schedules (SIMULATION_SEED=${seed}), shrunk ${numShrinks} times:\n` +
      `${smallest ? formatSchedule(smallest) : ''}\n${String(errorInstance)}`,
    { cause: errorInstance },
  );
}

/** A world that can say what is wrong with it. */
export interface Judged {
  /** What was seen that must never be. */
  readonly violations: readonly string[];
  /** What is not as it should be in the end. */
  differences(): string[];
}

/** How long what was sent during a fault may still be under way, in milliseconds. */
export const lateMs = 4_000;
/** How long a world may take to come in order once nothing is in its way, in milliseconds. */
const recoveryMs = 120_000;
/** How long it must stay so. */
const calmMs = 5_000;

/** @throws {ScheduleFailure} for what must never be */
export function checkWorld({ violations }: Judged): void {
  if (violations.length > 0) throw new ScheduleFailure(violations);
}

/** Waits until a world is in order. @throws {ScheduleFailure} with what is not */
export async function settleWorld(world: Judged): Promise<void> {
  const end = time.now() + recoveryMs;
  let left: string[];
  do {
    await time.advance(1_000);
    left = world.differences();
  } while (left.length > 0 && time.now() < end);
  checkWorld(world);
  if (left.length > 0)
    throw new ScheduleFailure([`in disorder after ${recoveryMs / 1_000} s:`, ...left]);
}

/** The same, and sees that it stays so. */
export async function settleForGood(world: Judged): Promise<void> {
  await settleWorld(world);
  await time.advance(calmMs);
  checkWorld(world);
  const again = world.differences();
  if (again.length > 0) throw new ScheduleFailure(['is in disorder again:', ...again]);
}
