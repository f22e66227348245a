import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';

import { parseConfig } from '../../common/service/config.ts';
import { buildPage } from '../../demo/page-build.ts';
import { selfSignedCertificate, type TlsFiles } from '../../demo/tls.ts';
import { signalingConfig, type SignalingConfig } from '../config.ts';
import { until } from '../fixtures/client.ts';
import type { FakeMediaNode } from '../fixtures/media-node.ts';
import { Platform, type ConfigPart } from '../fixtures/platform.ts';
import { roomSecret, serviceSecret } from '../fixtures/secrets.ts';
import { runCheck } from './check.ts';

describe('the command check', () => {
  let platform: Platform;
  let node: FakeMediaNode;
  let folder: string;
  let tls: TlsFiles;
  let printed: string;
  let placing: boolean;

  const strict: ConfigPart = { roomAuth: { development: false } };
  const configOf = (secret = roomSecret, timeoutMs = 10_000): SignalingConfig =>
    parseConfig(
      signalingConfig,
      JSON.stringify({
        serviceAuth: { secret: serviceSecret },
        public: { urls: ['https://meet.example.com'] },
        database: { url: 'postgres://not-used/x' },
        roomAuth: { secret },
        check: { timeoutMs },
      }),
    );
  const checkRooms = () =>
    platform.kube.names('mediarooms').filter((name) => name.startsWith('check-'));

  /** Places rooms of checks, as the operator does. */
  async function place(): Promise<void> {
    const placed = new Set<string>();
    while (placing) {
      for (const name of checkRooms())
        if (!placed.has(name)) {
          placed.add(name);
          await platform.room(name, [node]);
        }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  let placer: Promise<void>;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'kube-sfu-check-'));
    tls = await selfSignedCertificate(folder);
    platform = await Platform.create();
    node = await platform.node('Both');
    placing = true;
    placer = place();
  });
  afterAll(async () => {
    placing = false;
    await placer;
    await platform.close();
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    platform.allowRoomsOnJoin(true);
    printed = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('joins a room of its own, and leaves nothing behind', async () => {
    const { publicPort } = await platform.replica(strict);
    await runCheck(configOf(), { url: `http://127.0.0.1:${publicPort}` });
    expect(printed).toBe('healthy\nserves no page\njoined a room whose router has 1 codecs\n');
    expect(checkRooms()).toEqual([]);
    await until(async () => (await platform.peerRows()).length === 0);
  });

  it('sees the page where it is served', async () => {
    await buildPage(() => undefined);
    const { publicPort } = await platform.replica({ public: { page: true } });
    await runCheck(configOf(), { url: `http://127.0.0.1:${publicPort}` });
    expect(printed).toContain('serves the page\n');
  }, 60_000);

  it('trusts the certificate authority that is named, and no other', async () => {
    const { publicPort } = await platform.replica({ ...strict, public: { tls } });
    const url = `https://localhost:${publicPort}`;
    await expect(runCheck(configOf(), { url })).rejects.toThrow(/self-signed certificate/);
    await runCheck(configOf(), { url, ca: tls.certFile });
    expect(printed).toContain('joined a room');
  });

  it('says what is missing where no pool lets a join make a room', async () => {
    const { publicPort } = await platform.replica(strict);
    platform.allowRoomsOnJoin(false);
    const check = runCheck(configOf(), { url: `http://127.0.0.1:${publicPort}` });
    await expect(check).rejects.toThrow(
      /^joining a room: room check-\w+ does not exist.*spec\.rooms\.createOnJoin: true/,
    );
    expect(checkRooms()).toEqual([]);
  });

  it('fails where the service has another key for room tokens', async () => {
    const { publicPort } = await platform.replica(strict);
    const other = configOf('another secret, which is long enough');
    await expect(runCheck(other, { url: `http://127.0.0.1:${publicPort}` })).rejects.toThrow(
      /^joining a room: invalid_token/,
    );
  });

  it('fails where nobody answers', async () => {
    await expect(runCheck(configOf(), { url: 'http://127.0.0.1:1' })).rejects.toThrow(
      /^GET http:\/\/127\.0\.0\.1:1\/healthz: .*ECONNREFUSED/,
    );
  });

  it('fails when the time is over', async () => {
    const { publicPort } = await platform.replica(strict);
    const check = runCheck(configOf(roomSecret, 1), { url: `http://127.0.0.1:${publicPort}` });
    await expect(check).rejects.toThrow('the check did not end within 1 ms');
  });

  it.each(['', 'meet.example.com', 'ftp://h'])('refuses the URL "%s"', async (url) => {
    await expect(runCheck(configOf(), { url })).rejects.toThrow('--url: expected http://…');
  });
});
