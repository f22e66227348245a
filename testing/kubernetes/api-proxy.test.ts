import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { KubernetesClient } from '../../common/kubernetes/client.ts';
import type { HasMeta, WatchEvent } from '../../common/kubernetes/informer.ts';
import { until } from '../until.ts';
import { ApiProxy, refusal } from './api-proxy.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const soon = { timeoutMs: 10_000, intervalMs: 20 };

let plane: ControlPlane;
let proxy: ApiProxy;
let client: KubernetesClient;
let watching: AbortController;
let count = 0;

beforeAll(async () => {
  plane = await startControlPlane({ crds: false });
}, 90_000);

afterAll(() => plane.stop());

beforeEach(async () => {
  proxy = await ApiProxy.start(plane);
  watching = new AbortController();
  client = new KubernetesClient({
    config: {
      kubeconfig: await proxy.kubeconfig(),
      requestTimeoutMs: 1000,
      watchTimeoutMs: 60_000,
      watchStallMs: 1000,
      listPageSize: 500,
    },
  });
});

afterEach(async () => {
  watching.abort();
  await client.close();
  await proxy.close();
});

const create = (name = `map-${(count += 1)}`, by = client): Promise<HasMeta> =>
  by.call({ method: 'POST', path: configMaps, body: { metadata: { name } } });
const exists = async (name: string): Promise<boolean> =>
  (await plane.client.list<HasMeta>(configMaps)).items.some(
    ({ metadata }) => metadata.name === name,
  );

interface Watched {
  events: WatchEvent<HasMeta>[];
  /** How it ended: `in order` or what it failed with. */
  ended: Promise<unknown>;
}

/** Watches from now on, and has seen a first event. */
async function watch(resourceVersion?: string): Promise<Watched> {
  const from = resourceVersion ?? (await client.list(configMaps)).resourceVersion;
  const events: WatchEvent<HasMeta>[] = [];
  const ended = client
    .watch<HasMeta>(
      configMaps,
      { resourceVersion: from },
      (event) => events.push(event),
      watching.signal,
    )
    .then(
      () => 'in order',
      (error: unknown) => error,
    );
  return { events, ended };
}

async function watchWithEvent(): Promise<Watched> {
  const watched = await watch();
  await create();
  await until('an event', () => watched.events.length > 0, soon);
  return watched;
}

describe('the proxy before the API server', () => {
  it('passes calls and watches on when nothing is broken', async () => {
    const { events } = await watchWithEvent();
    expect(events[0]?.type).toBe('ADDED');
    expect(proxy.openWatches).toBe(1);
    watching.abort();
    await until('the watch to end', () => proxy.openWatches === 0, soon);
  });

  it('passes on who calls', async () => {
    const response = await fetch(`${proxy.url}${configMaps}`);
    expect(response.status).toBe(403);
  });

  it('resets watches, once or again and again', async () => {
    const once = await watchWithEvent();
    proxy.resetWatches();
    expect(await once.ended).toMatchObject({ code: 'kubernetes_unavailable' });
    proxy.resetWatches(50);
    for (let i = 0; i < 3; i++)
      expect(await (await watch()).ended).toMatchObject({ code: 'kubernetes_unavailable' });
  });

  it('leaves a stalled watch open without an event, also a new one', async () => {
    const first = await watchWithEvent();
    proxy.stallWatches();
    const second = await watch();
    await until('both watches to be open', () => proxy.openWatches === 2, soon);
    const seen = first.events.length;
    await create();
    await client.list(configMaps);
    expect([first.events.length, second.events.length]).toEqual([seen, 0]);
    expect(proxy.openWatches).toBe(2);
  });

  it('lets only open watches fall silent where a new one is to see everything', async () => {
    const first = await watchWithEvent();
    const { resourceVersion } = await client.list(configMaps);
    proxy.stallWatches({ open: true });
    await create();
    const second = await watch(resourceVersion);
    await until('an event', () => second.events.length > 0, soon);
    expect(first.events).toHaveLength(1);
    proxy.heal();
    expect(proxy.openWatches).toBe(2);
  });

  it('expires versions until a new list', async () => {
    const { resourceVersion } = await client.list(configMaps);
    const { events, ended } = await watchWithEvent();
    proxy.expireVersions();
    expect(await ended).toBe('in order');
    expect(events.at(-1)).toMatchObject({ type: 'ERROR', object: { code: 410 } });
    expect(await (await watch(resourceVersion)).ended).toMatchObject({
      statusCode: 410,
      reason: 'Expired',
    });
    await watchWithEvent();
  });

  it('refuses a share of calls, the same for the same seed', async () => {
    const outcomes = async (): Promise<unknown[]> => {
      proxy.failShare({ share: 0.5, statuses: [429, 500, 503], seed: 7 });
      const results: unknown[] = [];
      for (let i = 0; i < 40; i++)
        results.push(
          await client.list(configMaps).then(
            () => 200,
            (error: unknown) => (error as { statusCode: number }).statusCode,
          ),
        );
      return results;
    };
    const first = await outcomes();
    expect(new Set(first)).toEqual(new Set([200, 429, 500, 503]));
    expect(await outcomes()).toEqual(first);
  });

  it('refuses a call before the server sees it, as often as it was told', async () => {
    proxy.inject(refusal(503), /^POST .*configmaps/, 1);
    await expect(create('refused')).rejects.toMatchObject({ statusCode: 503 });
    expect(await exists('refused')).toBe(false);
    await create('refused');
  });

  it.each(['drop', 'hang'] as const)(
    'loses an answer after the server acted (%s)',
    async (fault) => {
      proxy.inject(fault, /^POST .*configmaps/, 1);
      await expect(create(`lost-${fault}`)).rejects.toMatchObject({
        code: fault === 'drop' ? 'kubernetes_unavailable' : 'timed_out',
      });
      expect(await exists(`lost-${fault}`)).toBe(true);
    },
  );

  it('loses the answers to a share of writes, of which each was carried out', async () => {
    proxy.loseAnswers({ share: 0.5, seed: 3 });
    const names = Array.from({ length: 8 }, () => `map-${(count += 1)}`);
    const outcomes = await Promise.all(
      names.map((name) =>
        create(name).then(
          () => 'answered',
          (error: unknown) => (error as { code: string }).code,
        ),
      ),
    );
    expect(new Set(outcomes)).toEqual(new Set(['answered', 'kubernetes_unavailable', 'timed_out']));
    for (const name of names) expect(await exists(name)).toBe(true);
    await client.list(configMaps);
  });

  it('delays calls', async () => {
    proxy.delay(200);
    const startedAt = performance.now();
    await client.list(configMaps);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(190);
  });

  it('cuts everybody off until it heals', async () => {
    const { ended } = await watchWithEvent();
    proxy.cut();
    expect(await ended).toMatchObject({ code: 'kubernetes_unavailable' });
    await expect(client.list(configMaps)).rejects.toMatchObject({ code: 'kubernetes_unavailable' });
    expect(proxy.refusedConnections).toBeGreaterThan(0);
    proxy.heal();
    await client.list(configMaps);
  });
});
