import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:https';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { demoOptions } from '../demo/options.ts';
import { freePorts } from '../demo/ports.ts';
import { createTestDatabase } from '../testing/database.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { launchBrowser } from './browser.ts';
import { RoomPage } from './room-page.ts';

const root = path.resolve(import.meta.dirname, '..');

interface Status {
  page: string;
  processes: { name: string; role: string; pid?: number; metrics?: string; url?: string }[];
}

describe('the demo', () => {
  const cleanup = new Cleanup();
  const lines: string[] = [];
  let demo: ChildProcess;
  let pagePort: number;
  let env: NodeJS.ProcessEnv;

  const status = async (): Promise<Status> => {
    const child = spawn(process.execPath, ['demo/status.ts'], { cwd: root, env });
    let text = '';
    child.stdout.on('data', (data: Buffer) => (text += data.toString()));
    await once(child, 'close');
    return JSON.parse(text) as Status;
  };

  const isAlive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  beforeAll(async () => {
    const database = await createTestDatabase();
    cleanup.add(() => database.drop());
    const replicas = 2;
    pagePort = await freePorts(1 + replicas);
    env = {
      ...process.env,
      TLS: '1',
      DEMO_PAGE_PORT: String(pagePort),
      DEMO_SIGNALING_PORT: String(pagePort + 1),
      DEMO_REPLICAS: String(replicas),
      DEMO_CONSUMERS: '1',
      DATABASE_URL: database.url,
      // Beside a demo that somebody runs.
      DEMO_RTC_PORT: '23000',
      DEMO_DIR: path.join(root, '.run/e2e/demo'),
    };
    // What it complains about belongs into the tests' output.
    demo = spawn(process.execPath, ['demo/main.ts'], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    cleanup.add(() => void demo.kill('SIGKILL'));
    const output = createInterface({ input: demo.stdout! });
    output.on('line', (line) => lines.push(line));
    for await (const line of output) if (line.includes('kube-sfu is ready')) break;
  }, 180_000);

  afterAll(() => cleanup.run());

  it('says when a join will succeed', () => {
    expect(lines.at(-1)).toMatch(/kube-sfu is ready$/);
  });

  it('lists every process with its role, id and metrics', async () => {
    const { page, processes } = await status();
    expect(page).toBe(`https://localhost:${pagePort}`);
    expect(processes.map(({ name, role }) => `${name} ${role}`)).toEqual([
      'demo supervisor',
      'operator operator',
      'signaling-0 signaling',
      'signaling-1 signaling',
      'producers-0 media-node/Producer',
      'consumers-0 media-node/Consumer',
    ]);
    for (const { pid } of processes) expect(isAlive(pid!)).toBe(true);
    for (const { metrics } of processes.slice(1))
      expect(await (await fetch(metrics!)).text()).toContain('process_cpu_seconds_total');
  }, 60_000);

  it('serves the page over HTTPS with the ports of its replicas', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      get(
        { host: '127.0.0.1', port: pagePort, path: '/config.json', rejectUnauthorized: false },
        (response) => {
          let body = '';
          response.on('data', (data: Buffer) => (body += data.toString()));
          response.on('end', () => resolve(body));
        },
      ).on('error', reject);
    });
    const first = Number(env['DEMO_SIGNALING_PORT']);
    expect(JSON.parse(text)).toMatchObject({
      signalingPort: first,
      signalingPorts: [first, first + 1],
    });
  });

  it('lets a browser join over WSS', async () => {
    const browser = await launchBrowser();
    try {
      const baseUrl = `https://localhost:${pagePort}`;
      const [a, b] = await Promise.all(
        ['ada', 'bert'].map(async (name, replica) =>
          RoomPage.join(await browser.newPage(), { baseUrl, room: 'tls', name, replica }),
        ),
      );
      await Promise.all([a!.seesAndHears('bert'), b!.seesAndHears('ada')]);
    } finally {
      await browser.close();
    }
  }, 120_000);

  it('ends with everything that it started on Ctrl-C', async () => {
    const { processes } = await status();
    const exited = once(demo, 'exit');
    demo.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
    expect(processes.filter(({ pid }) => isAlive(pid!))).toEqual([]);
  }, 60_000);
});

describe('the demo’s variables', () => {
  it('have the documented defaults', () => {
    expect(demoOptions({})).toMatchObject({
      pagePort: 8080,
      signalingPort: 4443,
      consumers: 2,
      replicas: 1,
      tls: false,
      databaseUrl: undefined,
    });
  });

  it.each([
    [{ DEMO_PAGE_PORT: 'x' }, 'DEMO_PAGE_PORT'],
    [{ DEMO_SIGNALING_PORT: '70000' }, 'DEMO_SIGNALING_PORT'],
    [{ DEMO_RTC_PORT: '0' }, 'DEMO_RTC_PORT'],
    [{ DEMO_CONSUMERS: '0' }, 'DEMO_CONSUMERS'],
    [{ DEMO_REPLICAS: '1.5' }, 'DEMO_REPLICAS'],
    [{ TLS: 'yes' }, 'TLS'],
  ])('are named when they are wrong: %j', (env, name) => {
    expect(() => demoOptions(env)).toThrow(`${name}: `);
  });
});
