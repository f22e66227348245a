import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { listMediaWorkers } from '../demo/resources-client.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { until } from '../testing/until.ts';
import { launchBrowser, type Browser } from './browser.ts';
import { censusOfNodes, censusOfTables, emptyCensus, everyPair, relations } from './census.ts';
import { startTestPlatform, type TestPlatform } from './platform.ts';
import { RoomPage } from './room-page.ts';

const names = ['ada', 'bert', 'cleo', 'dora', 'emil'];
const others = (name: string): string[] => names.filter((other) => other !== name);

describe('browsers in one room, with producers on one node and consumers on two others', () => {
  const cleanup = new Cleanup();
  let test: TestPlatform;
  let browser: Browser;
  const pages = new Map<string, RoomPage>();
  const page = (name: string): RoomPage => pages.get(name)!;

  const join = async (name: string): Promise<void> => {
    pages.set(
      name,
      await RoomPage.join(await browser.newPage(), {
        baseUrl: test.pageUrl,
        room: 'browsers',
        name,
        replica: names.indexOf(name) % 2,
      }),
    );
  };

  beforeAll(async () => {
    test = await startTestPlatform({ name: 'rooms' });
    cleanup.add(() => test.stop());
    browser = await launchBrowser();
    cleanup.add(() => browser.close());
  }, 180_000);

  afterAll(() => cleanup.run(), 60_000);

  it('lets two pages see and hear each other', async () => {
    await join('ada');
    await join('bert');
    await Promise.all([page('ada').seesAndHears('bert'), page('bert').seesAndHears('ada')]);
  }, 120_000);

  it('lets five pages see and hear each other', async () => {
    for (const name of names.slice(2)) await join(name);
    await Promise.all(
      names.flatMap((watcher) =>
        others(watcher).map((watched) => page(watcher).seesAndHears(watched)),
      ),
    );
  }, 300_000);

  it('puts producers on one node and spreads consumers over both others, with one pipe for each pair of routers', async () => {
    const statuses = await test.statuses();
    const withProducers = statuses.filter(({ load }) => load.producers > 0);
    const withConsumers = statuses.filter(({ load }) => load.consumers > 0);
    expect(withProducers.map(({ pool }) => pool)).toEqual(['producers']);
    expect(withConsumers.map(({ pool }) => pool)).toEqual(['consumers', 'consumers']);
    const sources = statuses.flatMap(({ pipes }) => pipes.filter(({ end }) => end === 'source'));
    const pairs = new Set(
      sources.map(({ routerId, remoteRouterId }) => `${routerId} ${remoteRouterId}`),
    );
    expect(sources.length).toBe(2);
    expect(pairs.size).toBe(2);
  });

  it('holds in the tables what the nodes hold', async () => {
    await until('nodes and tables to agree', async () => {
      const nodes = censusOfNodes(await test.statuses());
      expect(await censusOfTables(test.knex)).toEqual(nodes);
      expect(nodes.consumers).toBe(names.length * (names.length - 1) * 2);
      return true;
    });
    expect(await relations(test.knex, 'media_peer_consumer')).toEqual(everyPair(names));
    expect(await relations(test.knex, 'media_peer_data_consumer')).toEqual(everyPair(names));
  }, 60_000);

  it('documents every metric that a running service serves', async () => {
    const documented = await readFile(new URL('../docs/metrics.md', import.meta.url), 'utf8');
    const statuses = await listMediaWorkers(test.platform.kubeconfig);
    const nodeUrls = statuses.flatMap(({ status }) => (status?.nodes ?? []).map(({ url }) => url!));
    const urls = [
      test.platform.operatorUrl,
      ...test.platform.replicas.map(({ internalUrl }) => internalUrl),
      ...nodeUrls,
    ];
    for (const url of urls) {
      const text = await (await fetch(`${url}/metrics`)).text();
      const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
      const own = names.filter((name) => !/^(nodejs|process)_/.test(name));
      expect(own.length).toBeGreaterThan(5);
      expect(own.filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
    }
  });

  it('carries chat to every page', async () => {
    for (const name of names) await page(name).chat(`hello from ${name}`);
    for (const reader of names)
      for (const writer of names) await page(reader).sawChat(`hello from ${writer}`);
  }, 60_000);

  it('switches the simulcast layer on request', async () => {
    const layerOf = async () => (await page('bert').consumer('ada', 'video'))?.layers?.spatialLayer;
    const tile = page('bert').page.locator(
      '[data-testid=tile][data-peer-id=ada][data-source=video]',
    );
    await tile.getByTestId('layer-select').selectOption({ value: '0' });
    await until('the lowest layer', async () => (await layerOf()) === 0);
    await tile.getByTestId('layer-select').selectOption({ value: '1' });
    await until('the middle layer', async () => (await layerOf()) === 1, { timeoutMs: 60_000 });
  }, 120_000);

  it.each([
    ['microphone', 'mute-button', 'audio'],
    ['camera', 'camera-button', 'video'],
  ])(
    'shows at the others when a page switches its %s off and on',
    async (_, button, source) => {
      const isOff = async (): Promise<boolean> => {
        const consumer = await page('cleo').consumer('ada', source);
        return consumer === undefined || consumer.producerPaused;
      };
      await page('ada').page.getByTestId(button).click();
      await until(`${source} to be off at the others`, isOff);
      await page('ada').page.getByTestId(button).click();
      await until(`${source} to be on again`, async () => !(await isOff()));
      if (source === 'video') await page('cleo').decodesVideoOf('ada');
    },
    90_000,
  );

  it('shows a shared screen as a second video and takes it away when it ends', async () => {
    await page('ada').page.getByTestId('screen-button').click();
    await page('dora').decodesVideoOf('ada', 'screensharing');
    await page('dora').decodesVideoOf('ada', 'video');
    await page('ada').page.getByTestId('screen-button').click();
    await until(
      'the shared screen to go',
      async () => (await page('dora').consumer('ada', 'screensharing')) === undefined,
    );
  }, 120_000);

  it('brings a page back whose signaling replica died', async () => {
    const replica = test.platform.children.find(({ name }) => name === 'signaling-0')!;
    const statusOf = () => page('ada').page.getByTestId('status').first().textContent();
    process.kill(replica.pid()!, 'SIGKILL');
    await until('the page to say so', async () => /reconnecting/i.test((await statusOf()) ?? ''), {
      intervalMs: 50,
    });
    await until(
      'the page to be back',
      async () => (await page('ada').snapshot()).connection === 'connected',
      {
        timeoutMs: 60_000,
      },
    );
    await Promise.all([page('ada').seesAndHears('bert'), page('bert').seesAndHears('ada')]);
  }, 180_000);

  it('forgets a page that is closed without leaving', async () => {
    await page('emil').page.close();
    pages.delete('emil');
    await until('emil to be gone', async () =>
      (await page('ada').snapshot()).peers.every(({ peerId }) => peerId !== 'emil'),
    );
  }, 60_000);

  it('leaves nothing behind on the nodes and in the tables when all have left', async () => {
    for (const name of pages.keys()) await page(name).leave();
    await until(
      'everything to be gone',
      async () => {
        expect(censusOfNodes(await test.statuses())).toEqual(emptyCensus);
        expect(await censusOfTables(test.knex)).toEqual(emptyCensus);
        return true;
      },
      { timeoutMs: 60_000 },
    );
    expect(await test.knex('media_peer')).toEqual([]);
    expect(await test.knex('media_peer_consumer')).toEqual([]);
    expect(await test.knex('media_peer_data_consumer')).toEqual([]);
  }, 90_000);
});
