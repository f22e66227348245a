import { z } from 'zod';

import { parseOrThrow } from '../common/validate.ts';
import { faultKinds, type FaultKind } from './kinds.ts';

const positive = z.coerce.number().int().positive();
const blankAsMissing = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));

/** What `make chaos` takes from the environment. */
const chaosEnvironment = z.object({
  SEED: z.coerce.number().int().min(0).max(4_294_967_295).default(1),
  ROUNDS: positive.max(10_000).default(20),
  COUNT: positive.max(1000).optional(),
  ROOMS: positive.max(200).default(1),
  CLIENTS: z.enum(['sdk', 'rejoin']).default('sdk'),
  FAULTS: z
    .string()
    .default(faultKinds.join(','))
    .transform((text) => text.split(/[\s,]+/).filter((kind) => kind !== ''))
    .pipe(z.array(z.enum(faultKinds)).min(1)),
  CONTROL: positive.default(30),
});

export interface ChaosOptions {
  /** Of every choice of the run. */
  seed: number;
  /** Rounds of one fault or a pair of them. */
  rounds: number;
  /** Instead of rounds: how often each kind strikes, always alone. */
  count: number | undefined;
  /** Live rooms: one with pages, and peers without a browser in the others. */
  rooms: number;
  /** Whether the pages announce extensions, or rejoin whatever happens. */
  clients: 'sdk' | 'rejoin';
  kinds: FaultKind[];
  /** How long the pages are watched first while nothing happens, in milliseconds. */
  controlMs: number;
}

/** @throws ApiError naming each variable with a wrong value */
export function chaosOptions(env: NodeJS.ProcessEnv): ChaosOptions {
  const parsed = parseOrThrow(chaosEnvironment, blankAsMissing(env), 'environment');
  return {
    seed: parsed.SEED,
    rounds: parsed.ROUNDS,
    count: parsed.COUNT,
    rooms: parsed.ROOMS,
    clients: parsed.CLIENTS,
    kinds: parsed.FAULTS,
    controlMs: parsed.CONTROL * 1000,
  };
}
