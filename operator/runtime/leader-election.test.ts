import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { ApiError } from '../../common/errors.ts';
import { FakeClock, settle } from '../../testing/fake-clock.ts';
import { LeaderElector, type LeaseClient } from './leader-election.ts';
import {
  buildRecord,
  decideTurn,
  releaseRecord,
  type LeaseRecord,
  type StoredLease,
} from './lease.ts';

const logger = pino({ level: 'silent' });
const config = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };

const lease = (record: LeaseRecord): StoredLease => ({ resourceVersion: '1', record });
const held = lease({ holderIdentity: 'other', leaseDurationSeconds: 15 });

describe('decideTurn', () => {
  it.each([
    { name: 'writes where there is no Lease', lease: undefined, age: 0, want: 'write' },
    { name: 'waits while another holds it', lease: held, age: 14_999, want: 'wait' },
    {
      name: 'writes once the holder was silent for its time',
      lease: held,
      age: 15_000,
      want: 'write',
    },
    {
      name: 'writes what is its own',
      lease: lease({ holderIdentity: 'me' }),
      age: 0,
      want: 'write',
    },
    {
      name: 'writes what was released',
      lease: lease({ holderIdentity: '' }),
      age: 0,
      want: 'write',
    },
    {
      name: 'goes by the time that the holder itself wrote down',
      lease: lease({ holderIdentity: 'other', leaseDurationSeconds: 60 }),
      age: 59_999,
      want: 'wait',
    },
    {
      name: 'takes a Lease without a time for one that is over',
      lease: lease({ holderIdentity: 'other' }),
      age: 0,
      want: 'write',
    },
  ])('$name', ({ lease: found, age, want }) => {
    expect(decideTurn({ lease: found, since: 500 }, { identity: 'me', now: 500 + age })).toBe(want);
  });
});

describe('the record', () => {
  const now = Date.parse('2026-01-01T00:00:00.250Z');
  const time = '2026-01-01T00:00:00.250000Z';

  it('begins with no transition and times in microseconds', () => {
    expect(buildRecord(undefined, { identity: 'me', config, now })).toEqual({
      holderIdentity: 'me',
      leaseDurationSeconds: 15,
      acquireTime: time,
      renewTime: time,
      leaseTransitions: 0,
    });
  });

  it('counts a transition when the holder changes, and keeps the acquisition when it renews', () => {
    const old = { holderIdentity: 'other', acquireTime: 'then', leaseTransitions: 4 };
    expect(buildRecord(old, { identity: 'me', config, now })).toMatchObject({
      acquireTime: time,
      leaseTransitions: 5,
    });
    expect(buildRecord(old, { identity: 'other', config, now })).toMatchObject({
      acquireTime: 'then',
      leaseTransitions: 4,
    });
  });

  it('is nobody’s after a release, and keeps its count', () => {
    expect(releaseRecord({ holderIdentity: 'me', leaseTransitions: 4 }, now)).toEqual({
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: time,
      renewTime: time,
      leaseTransitions: 4,
    });
  });
});

/** A Lease with the API server's rule: who writes names the version that it read. */
class FakeLease implements LeaseClient {
  stored: StoredLease | undefined;
  writes: string[] = [];
  /** What the next calls end with. */
  fail: 'never' | 'refused' | 'answer_lost' | 'hangs' = 'never';
  #version = 0;

  async get(): Promise<StoredLease | undefined> {
    await this.#obey();
    return this.stored;
  }

  async create(record: LeaseRecord): Promise<StoredLease> {
    await this.#obey();
    if (this.stored) throw new ApiError('conflict', 'it exists');
    return this.#put(record);
  }

  async update(old: StoredLease, record: LeaseRecord): Promise<StoredLease> {
    await this.#obey();
    if (!this.stored) throw new ApiError('not_found', 'it does not exist');
    if (old.resourceVersion !== this.stored.resourceVersion)
      throw new ApiError('conflict', 'it has changed');
    return this.#put(record);
  }

  async #obey(): Promise<void> {
    await Promise.resolve();
    if (this.fail === 'refused') throw new ApiError('kubernetes_unavailable', 'away');
    if (this.fail === 'hangs') await new Promise(() => undefined);
  }

  #put(record: LeaseRecord): StoredLease {
    this.stored = { resourceVersion: String(++this.#version), record };
    this.writes.push(record.holderIdentity ?? '?');
    if (this.fail === 'answer_lost') throw new ApiError('timed_out', 'no answer');
    return this.stored;
  }
}

function makeWorld() {
  const clock = new FakeClock();
  const leases = new FakeLease();
  const lost: string[] = [];
  const make = (identity: string, time = clock.now): LeaderElector => {
    const elector = new LeaderElector({
      ...{ config, identity, leases, clock, logger },
      monotonic: time,
      random: () => 0.5,
      onLost: (why) => lost.push(`${identity}: ${why}`),
    });
    elector.start();
    return elector;
  };
  const end = async (...electors: LeaderElector[]): Promise<void> => {
    leases.fail = 'refused';
    await Promise.all(electors.map((elector) => elector.release()));
    expect(clock.pending).toBe(0);
  };
  return { clock, leases, lost, make, end };
}

describe('LeaderElector', () => {
  it('takes a free Lease at once and keeps it', async () => {
    const { clock, leases, make, end, lost } = makeWorld();
    const elector = make('a');
    expect(() => elector.fence()).toThrow('does not hold the lease');
    await clock.advance(0);
    await elector.whenLeading;
    elector.fence();
    await clock.advance(60_000);
    expect(elector.isLeading).toBe(true);
    expect(leases.writes).toHaveLength(31);
    expect(lost).toEqual([]);
    await end(elector);
  });

  it('lets one of many act', async () => {
    const { clock, make, end } = makeWorld();
    const electors = ['a', 'b', 'c', 'd'].map((identity) => make(identity));
    for (let i = 0; i < 30; i++) {
      await clock.advance(1000);
      expect(electors.filter(({ isLeading }) => isLeading)).toHaveLength(1);
    }
    await end(...electors);
  });

  it('takes over a silent leader’s Lease once it was seen unchanged for its time', async () => {
    const { clock, leases, make, end } = makeWorld();
    leases.stored = {
      resourceVersion: 'x',
      record: { ...held.record, renewTime: '1999-01-01T00:00:00.000000Z' },
    };
    const elector = make('a');
    await clock.advance(14_999);
    expect(elector.isLeading).toBe(false);
    await clock.advance(4_500);
    expect(elector.isLeading).toBe(true);
    expect(leases.stored.record.leaseTransitions).toBe(1);
    await end(elector);
  });

  it('takes over at once when it is told of a release', async () => {
    const { clock, make, end } = makeWorld();
    const first = make('a');
    await clock.advance(100);
    const second = make('b');
    await clock.advance(100);
    await first.release();
    second.poke();
    await clock.advance(0);
    await settle();
    expect([first.isLeading, second.isLeading]).toEqual([false, true]);
    expect(() => first.fence()).toThrow('does not hold the lease');
    await end(second);
  });

  it('keeps the Lease when the answer to a renewal is lost', async () => {
    const { clock, leases, make, end, lost } = makeWorld();
    const elector = make('a');
    await clock.advance(0);
    leases.fail = 'answer_lost';
    await clock.advance(2_000);
    leases.fail = 'never';
    await clock.advance(30_000);
    expect({ leading: elector.isLeading, lost }).toEqual({ leading: true, lost: [] });
    await end(elector);
  });

  it.each(['refused', 'hangs'] as const)(
    'ends after the renewal deadline when every renewal is %s',
    async (fail) => {
      const { clock, leases, make, lost } = makeWorld();
      const elector = make('a');
      await clock.advance(0);
      leases.fail = fail;
      await clock.advance(9_999);
      expect(lost).toEqual([]);
      elector.fence();
      await clock.advance(1);
      expect(lost).toEqual(['a: it was not renewed in time']);
      expect(() => elector.fence()).toThrow('does not hold the lease');
      expect(clock.pending).toBe(0);
    },
  );

  it('ends at once when it sees that another holds the Lease', async () => {
    const { clock, leases, make, lost } = makeWorld();
    const elector = make('a');
    await clock.advance(0);
    leases.stored = { resourceVersion: 'y', record: held.record };
    await clock.advance(2_000);
    expect(lost).toEqual(['a: another process holds it']);
    expect(elector.isLeading).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('makes the Lease again when somebody deleted it', async () => {
    const { clock, leases, make, end } = makeWorld();
    const elector = make('a');
    await clock.advance(0);
    leases.stored = undefined;
    await clock.advance(2_000);
    expect(elector.isLeading).toBe(true);
    expect(leases.writes).toHaveLength(2);
    await end(elector);
  });

  it('never acts after it was stopped past its deadline, even before a timer has run', async () => {
    const { clock, make, leases, lost } = makeWorld();
    let stoppedMs = 0;
    const elector = make('a', () => clock.now() + stoppedMs);
    await clock.advance(0);
    const writes = leases.writes.length;
    elector.checkAttempt();
    stoppedMs = 10_000;
    expect(() => elector.fence()).toThrow('does not hold the lease');
    expect(() => elector.checkAttempt()).toThrow('took too long');
    await clock.advance(2_000);
    expect(lost).toEqual(['a: it was not renewed in time']);
    expect(leases.writes).toHaveLength(writes);
  });

  it('writes nothing when it ends as a standby', async () => {
    const { clock, make, leases, end } = makeWorld();
    const first = make('a');
    await clock.advance(10);
    const second = make('b');
    await clock.advance(10);
    const writes = [...leases.writes];
    await second.release();
    await second.release();
    expect(leases.writes).toEqual(writes);
    await end(first);
  });

  it('counts its deadline from when a renewal was sent, not from when it was answered', async () => {
    const { clock, leases, make, lost } = makeWorld();
    const elector = make('a');
    await clock.advance(0);
    const original = leases.update.bind(leases);
    leases.update = async (old, record) => {
      const written = await original(old, record);
      await new Promise<void>((resolve) => clock.schedule(4_000, resolve));
      leases.fail = 'hangs';
      return written;
    };
    await clock.advance(2_000 + 9_999);
    expect(elector.isLeading).toBe(true);
    await clock.advance(1);
    expect(lost).toEqual(['a: it was not renewed in time']);
  });
});
