import { afterEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { until as wait } from '../../testing/until.ts';
import { KubernetesError } from './errors.ts';
import { Informer, type Change, type ListWatch, type WatchEvent } from './informer.ts';

interface Thing {
  metadata: { name: string; namespace: string; uid: string; resourceVersion: string };
  color: string;
}

type Emit = (event: WatchEvent<Thing>) => void;
type List = { items: Thing[]; resourceVersion: string };

const thing = (
  name: string,
  version: number,
  more: { uid?: string; color?: string } = {},
): Thing => ({
  metadata: {
    name,
    namespace: 'ns',
    uid: more.uid ?? `uid-${name}`,
    resourceVersion: String(version),
  },
  color: more.color ?? 'red',
});
const bookmark = (version: number): WatchEvent<Thing> => ({
  type: 'BOOKMARK',
  object: thing('', version),
});

/** One watch that the informer has open. */
interface OpenWatch {
  from: string;
  emit: Emit;
  end: () => void;
  fail: (error: unknown) => void;
}

/** A ListWatch whose every answer the test gives. */
class Script implements ListWatch<Thing> {
  readonly lists: { answer: (list: List) => void; fail: (error: unknown) => void }[] = [];
  readonly watches: OpenWatch[] = [];

  list(signal: AbortSignal): Promise<List> {
    return new Promise((resolve, reject) => {
      this.lists.push({ answer: resolve, fail: reject });
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  }

  watch(from: string, emit: Emit, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.watches.push({ from, emit, end: resolve, fail: reject });
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  }
}

const until = (what: string, ask: () => boolean) => wait(what, ask, { intervalMs: 2 });

let informer: Informer<Thing>;
let script: Script;
let changes: Change<Thing>[];
let ends: string[];
let sizes: number[];

function make(timing: { relistMs?: number; backoffMaxMs?: number } = {}): void {
  script = new Script();
  changes = [];
  ends = [];
  sizes = [];
  informer = new Informer<Thing>({
    what: 'things',
    source: script,
    timing: { relistMs: 600_000, backoffMinMs: 1, backoffMaxMs: 5, ...timing },
    logger: pino({ level: 'silent' }),
    indexes: { color: ({ color }) => [color] },
    observer: { listed: (items) => sizes.push(items), watchEnded: (how) => ends.push(how) },
  });
  informer.onChange((change) => changes.push(change));
  informer.start();
}

/** Answers the informer's next list, and waits for its watch. */
async function answer(resourceVersion: number, items: Thing[]): Promise<OpenWatch> {
  await until('a list', () => script.lists.length > 0);
  const before = script.watches.length;
  script.lists.shift()?.answer({ items, resourceVersion: String(resourceVersion) });
  await until('a watch', () => script.watches.length > before);
  return script.watches.at(-1)!;
}

const nextWatch = async (after: OpenWatch): Promise<OpenWatch> => {
  await until('another watch', () => script.watches.at(-1) !== after);
  return script.watches.at(-1)!;
};

const names = (): string[] => informer.list().map(({ metadata }) => metadata.name);
const versionOf = (name: string): string | undefined =>
  informer.get({ namespace: 'ns', name })?.metadata.resourceVersion;
const told = (): string[] =>
  changes.map(({ name, object, previous }) => {
    const verb = object ? (previous ? 'changed' : 'added') : 'removed';
    return `${verb} ${name}`;
  });

afterEach(async () => {
  await informer.stop();
});

describe('Informer', () => {
  it('is synced once everything was listed, and says what changes after', async () => {
    make();
    expect(informer.synced).toBe(false);
    const watch = await answer(5, [thing('a', 3), thing('b', 5)]);
    await informer.whenSynced;
    expect(watch.from).toBe('5');
    watch.emit({ type: 'MODIFIED', object: thing('a', 6) });
    watch.emit({ type: 'DELETED', object: thing('b', 7) });
    watch.emit({ type: 'ADDED', object: thing('c', 8) });
    expect(names()).toEqual(['a', 'c']);
    expect(told()).toEqual(['added a', 'added b', 'changed a', 'removed b', 'added c']);
    expect(changes[3]).toMatchObject({ deleted: true, previous: { metadata: { name: 'b' } } });
    expect({ synced: informer.synced, size: informer.size, sizes }).toEqual({
      synced: true,
      size: 2,
      sizes: [2],
    });
  });

  it('goes on from the last version that it was told of, a bookmark’s too', async () => {
    make();
    const first = await answer(5, []);
    first.emit(bookmark(40));
    first.end();
    const second = await nextWatch(first);
    expect(second.from).toBe('40');
    second.emit({ type: 'ADDED', object: thing('a', 41) });
    second.fail(new Error('reset'));
    expect((await nextWatch(second)).from).toBe('41');
    expect(script.lists).toHaveLength(0);
    expect(ends).toEqual(['timeout', 'error']);
  });

  it.each([
    {
      name: 'an event says so',
      expire: (watch: OpenWatch) => watch.emit({ type: 'ERROR', object: { code: 410 } }),
    },
    {
      name: 'the watch is refused so',
      expire: (watch: OpenWatch) => watch.fail(new KubernetesError(410, {}, 'watch')),
    },
  ])('lists anew when the history has expired: $name', async ({ expire }) => {
    make();
    const watch = await answer(5, [thing('a', 3), thing('b', 4)]);
    expire(watch);
    await answer(90, [thing('a', 88)]);
    expect(names()).toEqual(['a']);
    expect(versionOf('a')).toBe('88');
    // Missing in a list is not deleted by an event.
    expect(changes.at(-2)).toMatchObject({ name: 'b', object: undefined, deleted: false });
    expect(ends).toEqual(['expired']);
  });

  it('lists more and more rarely while one watch after the other expires', async () => {
    make({ backoffMaxMs: 10_000 });
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      const watch = await answer(5 + 10 * i, []);
      watch.emit({ type: 'ADDED', object: thing('a', 6 + 10 * i) });
      const expiredAt = performance.now();
      watch.emit({ type: 'ERROR', object: { code: 410 } });
      await until('a list', () => script.lists.length > 0);
      pauses.push(performance.now() - expiredAt);
    }
    // At least half of what it has grown to: 1 ms after the first, 128 ms after the eighth.
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(60);
    expect(ends).toHaveLength(8);
  });

  it('survives failing lists and serves what it knows meanwhile', async () => {
    make();
    const watch = await answer(5, [thing('a', 3)]);
    watch.emit({ type: 'ERROR', object: { code: 410 } });
    for (let i = 0; i < 3; i++) {
      await until('a list', () => script.lists.length > 0);
      script.lists.shift()?.fail(new KubernetesError(500, {}, 'list'));
    }
    expect(names()).toEqual(['a']);
    await answer(9, [thing('a', 3), thing('b', 9)]);
    expect(names()).toEqual(['a', 'b']);
  });

  it('lists anew from time to time even if the watch seems well', async () => {
    make({ relistMs: 30 });
    await answer(5, [thing('a', 3)]);
    await answer(6, [thing('a', 3), thing('quiet', 6)]);
    expect(names()).toEqual(['a', 'quiet']);
  });

  it('survives a listener that throws, and tells the others', async () => {
    make();
    informer.onChange(() => {
      throw new Error('listener');
    });
    const late: string[] = [];
    informer.onChange(({ name }) => late.push(name));
    const watch = await answer(5, [thing('a', 3)]);
    watch.emit({ type: 'ADDED', object: thing('b', 6) });
    expect(late).toEqual(['a', 'b']);
  });

  it('takes another object of the same name for a change of its uid, and its late deletion for no news', async () => {
    make();
    const watch = await answer(5, [thing('a', 3, { uid: 'old' })]);
    informer.accept(thing('a', 9, { uid: 'new' }));
    watch.emit({ type: 'DELETED', object: thing('a', 7, { uid: 'old' }) });
    expect(versionOf('a')).toBe('9');
    expect(changes.at(-1)).toMatchObject({
      object: { metadata: { uid: 'new' } },
      previous: { metadata: { uid: 'old' } },
    });
  });

  describe('finds objects by an index', () => {
    it('through additions, changes, deletions and lists', async () => {
      make();
      const of = (color: string): string[] =>
        informer.byIndex('color', color).map(({ metadata }) => metadata.name);
      const watch = await answer(5, [
        thing('a', 1),
        thing('b', 2),
        thing('c', 3, { color: 'blue' }),
      ]);
      expect([of('red'), of('blue'), of('green')]).toEqual([['a', 'b'], ['c'], []]);
      watch.emit({ type: 'MODIFIED', object: thing('a', 6, { color: 'blue' }) });
      watch.emit({ type: 'DELETED', object: thing('b', 7) });
      expect([of('red'), of('blue')]).toEqual([[], ['c', 'a']]);
      watch.emit({ type: 'ERROR', object: { code: 410 } });
      await answer(20, [thing('c', 20, { color: 'green' })]);
      expect([of('red'), of('blue'), of('green')]).toEqual([[], [], ['c']]);
    });
  });

  describe('takes the answer to a write', () => {
    it('before the watch tells of it, and the watch’s word as no change then', async () => {
      make();
      const watch = await answer(5, [thing('a', 3)]);
      informer.accept(thing('a', 6, { color: 'blue' }));
      informer.accept(thing('b', 7));
      expect([versionOf('a'), versionOf('b')]).toEqual(['6', '7']);
      const before = changes.length;
      watch.emit({ type: 'MODIFIED', object: thing('a', 6, { color: 'blue' }) });
      watch.emit({ type: 'ADDED', object: thing('b', 7) });
      expect(changes).toHaveLength(before);
      watch.emit({ type: 'MODIFIED', object: thing('b', 8) });
      expect(versionOf('b')).toBe('8');
    });

    it('not when it is older than what is known, whatever the number of digits', async () => {
      make();
      const watch = await answer(5, [thing('a', 3)]);
      watch.emit({ type: 'MODIFIED', object: thing('a', 100) });
      informer.accept(thing('a', 99));
      expect(versionOf('a')).toBe('100');
    });

    it('not when the object was deleted since', async () => {
      make();
      const watch = await answer(5, [thing('a', 3)]);
      watch.emit({ type: 'DELETED', object: thing('a', 8) });
      informer.accept(thing('a', 7));
      expect(names()).toEqual([]);
    });

    it('and keeps it when a list that was asked for earlier does not have it yet', async () => {
      make();
      const watch = await answer(5, [thing('a', 3)]);
      watch.emit({ type: 'ERROR', object: { code: 410 } });
      await until('a list', () => script.lists.length > 0);
      informer.accept(thing('a', 12, { color: 'blue' }));
      informer.accept(thing('b', 13));
      await answer(10, [thing('a', 3)]);
      expect([versionOf('a'), versionOf('b')]).toEqual(['12', '13']);
    });

    it('and drops it when a later list does not have it', async () => {
      make();
      const watch = await answer(5, []);
      informer.accept(thing('b', 13));
      watch.emit({ type: 'ERROR', object: { code: 410 } });
      await answer(20, []);
      expect(names()).toEqual([]);
    });
  });

  it('goes back with an API server that was restored from a backup', async () => {
    make();
    const watch = await answer(1000, [thing('a', 990), thing('new', 995)]);
    watch.emit({ type: 'ERROR', object: { code: 410 } });
    const restored = await answer(400, [thing('a', 390, { color: 'blue' })]);
    expect(names()).toEqual(['a']);
    expect(versionOf('a')).toBe('390');
    restored.emit({ type: 'MODIFIED', object: thing('a', 401) });
    informer.accept(thing('a', 402));
    expect(versionOf('a')).toBe('402');
  });

  it('ends while it waits for a list, for a watch and in a pause', async () => {
    make();
    await until('a list', () => script.lists.length > 0);
    await informer.stop();
    make();
    await answer(5, []);
    await informer.stop();
    make({ backoffMaxMs: 60_000 });
    await until('a list', () => script.lists.length > 0);
    script.lists.shift()?.fail(new Error('away'));
    await informer.stop();
    expect(informer.synced).toBe(false);
  });
});
