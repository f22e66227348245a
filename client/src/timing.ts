import type { RetryPolicy } from './signaling/retry.ts';

/** Every time-out, pause and limit of the client, in one place. Times are in milliseconds. */
export interface Timing {
  /** How long a request may take in all: waiting for a connection, and for its answer. */
  requestTimeoutMs: number;
  /** How long a WebSocket may take to open. */
  connectTimeoutMs: number;
  /** After how long without a word of the server it is asked for one. */
  keepAliveMs: number;
  /** How long it may stay silent then, before the connection counts as lost and another one is made. */
  keepAliveTimeoutMs: number;
  /** How a lost connection is tried again. */
  reconnect: RetryPolicy;
  /** The same, for a request that the server could not serve now, such as a move while a node starts. */
  retry: RetryPolicy;
  ice: {
    /** How long an interrupted transport may take to come back by itself before ICE is restarted. */
    disconnectedMs: number;
    /** Restarts of ICE before the transport is given up and the room joined anew. */
    restarts: number;
    /** How long one restart may take to connect. */
    restartMs: number;
  };
  move: {
    /** How long the old transport goes on beside the new one, where the server does not say. */
    overlapMs: number;
    /** How often the new picture or sound is looked for. */
    pollMs: number;
    /** How long a picture may take to come before it is shown all the same. */
    videoMs: number;
    /** The same of sound; silence sends few packets. */
    audioMs: number;
    /** How long the old picture or sound may be kept while it still moves and the new one does not come. */
    keepOldMs: number;
    /** How long the old picture or sound has not moved when it counts as standing still. */
    stalledMs: number;
    /** How long the new transport may take to connect before the old one is closed. */
    connectMs: number;
    /** New transports in a row that may fail to connect before the room is joined anew. */
    tries: number;
    /** How long a consumer that arrives before its transport waits for it. */
    transportMs: number;
  };
  linger: {
    /** How long a picture stays whose producer was lost, for the one that replaces it. */
    producerLostMs: number;
    /** The same after a resumed connection, for what was not there any more. */
    resumedMs: number;
    /** The same after a rejoin. */
    rejoinedMs: number;
  };
  /** How long something is out of sight before it is paused, so that scrolling past it costs no message. */
  hiddenMs: number;
  /** How long one who spoke is still among those heard when others speak too; see `audioTopN`. */
  speakerHoldMs: number;
}

export const defaultTiming: Timing = {
  requestTimeoutMs: 22_000,
  connectTimeoutMs: 10_000,
  keepAliveMs: 5000,
  keepAliveTimeoutMs: 5000,
  reconnect: { tries: 30, minDelayMs: 300, maxDelayMs: 8000, jitter: 1, stableAfterMs: 5000 },
  retry: { tries: 5, minDelayMs: 300, maxDelayMs: 4000, jitter: 0.5, stableAfterMs: 0 },
  ice: { disconnectedMs: 3000, restarts: 3, restartMs: 6000 },
  move: {
    overlapMs: 3000,
    pollMs: 100,
    videoMs: 4000,
    audioMs: 1500,
    keepOldMs: 10_000,
    stalledMs: 500,
    connectMs: 10_000,
    tries: 3,
    transportMs: 5000,
  },
  linger: { producerLostMs: 10_000, resumedMs: 3000, rejoinedMs: 10_000 },
  hiddenMs: 500,
  speakerHoldMs: 4000,
};

type DeepPartial<T> = { [K in keyof T]?: T[K] extends object ? DeepPartial<T[K]> : T[K] };
/** Changes to {@link defaultTiming}; what is left out stays. */
export type TimingOptions = DeepPartial<Timing>;

type Numbers = { [key: string]: number | Numbers };

function merge(defaults: Numbers, changes: Record<string, unknown>, path: string): Numbers {
  const unknown = Object.keys(changes).find((key) => !Object.hasOwn(defaults, key));
  if (unknown !== undefined) throw new TypeError(`${path}.${unknown}: no such option`);
  return Object.fromEntries(
    Object.entries(defaults).map(([key, value]) => {
      const change = changes[key];
      if (change === undefined) return [key, value];
      const at = `${path}.${key}`;
      if (typeof value === 'object') {
        if (typeof change !== 'object' || change === null)
          throw new TypeError(`${at}: expected an object`);
        return [key, merge(value, change as Record<string, unknown>, at)];
      }
      if (typeof change !== 'number' || !(change >= 0))
        throw new TypeError(`${at}: expected a number of at least 0`);
      return [key, change];
    }),
  );
}

/**
 * The defaults with these changes.
 *
 * @throws TypeError naming an option that does not exist or is no number of at least 0
 */
export const resolveTiming = (changes: TimingOptions = {}): Timing =>
  merge(defaultTiming as unknown as Numbers, changes, 'timing') as unknown as Timing;
