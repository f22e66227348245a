import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { afterEach, describe, expect, it } from '@jest/globals';

const moduleUrl = new URL('./lifecycle.ts', import.meta.url).href;

/** Longer than any stop here takes; what waits for it would fail the test by Jest's own limit. */
const LONG_MS = 600_000;

describe('a service', () => {
  let child: ChildProcess | undefined;
  afterEach(async () => {
    if (child?.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    child = undefined;
  });

  /** Runs `code` with the module's functions and a logger that prints its messages, and waits for `ready`. */
  async function start(code: string): Promise<ChildProcess> {
    const script = `
      import { runMain, runUntilSignal } from ${JSON.stringify(moduleUrl)};
      const print = (text) => process.stdout.write(text + '\\n');
      const logger = {
        info: (_, text) => print(text + ' ' + _.why),
        error: (_, text) => print(text),
      };
      setInterval(() => undefined, ${LONG_MS});
      ${code}
      print('ready');
    `;
    child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    output = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
    await printed('ready');
    return child;
  }
  let output = '';

  async function printed(text: string): Promise<void> {
    while (!output.includes(text)) await once(child!.stdout!, 'data');
  }
  /** Waits for the end and the last output. Node sends no `close` where the parent cut the channel. */
  async function ended(): Promise<{ code: number | null; output: string }> {
    const [[code]] = (await Promise.all([
      once(child!, 'exit'),
      once(child!.stdout!, 'end'),
      once(child!.stderr!, 'end'),
    ])) as [[number | null], unknown, unknown];
    return { code, output };
  }

  const stopsAtOnce = `runUntilSignal(async () => print('stopped'), logger, ${LONG_MS});`;
  const neverStops = (timeoutMs: number) =>
    `runUntilSignal(() => { print('stop begun'); return new Promise(() => {}); }, logger, ${timeoutMs});`;

  it.each(['SIGTERM', 'SIGINT'] as const)('stops at %s and exits with 0', async (signal) => {
    const running = await start(stopsAtOnce);
    running.kill(signal);
    expect(await ended()).toEqual({
      code: 0,
      output: `ready\nstopping ${signal}\nstopped\n`,
    });
  });

  it('exits with 1 when the stop takes longer than allowed', async () => {
    const running = await start(neverStops(50));
    running.kill('SIGTERM');
    const { code, output: text } = await ended();
    expect(code).toBe(1);
    expect(text).toContain('did not stop in time');
  });

  it('exits with 1 when the stop fails', async () => {
    const fails = `runUntilSignal(() => Promise.reject(new Error('no')), logger, ${LONG_MS});`;
    const running = await start(fails);
    running.kill('SIGTERM');
    const { code, output: text } = await ended();
    expect(code).toBe(1);
    expect(text).toContain('stop failed');
  });

  it('exits with 1 at a second signal', async () => {
    const running = await start(neverStops(LONG_MS));
    running.kill('SIGTERM');
    await printed('stop begun');
    running.kill('SIGINT');
    expect((await ended()).code).toBe(1);
  });

  it('stops when its parent is gone', async () => {
    const running = await start(stopsAtOnce);
    running.disconnect();
    expect(await ended()).toEqual({
      code: 0,
      output: 'ready\nstopping parent is gone\nstopped\n',
    });
  });

  it('stops when its parent went while it started', async () => {
    const running = await start(`
      const gone = new Promise((resolve) => process.once('disconnect', resolve));
      print('starting');
      gone.then(() => {
        process.removeAllListeners('disconnect');
        ${stopsAtOnce}
      });
    `);
    running.disconnect();
    const { code, output: text } = await ended();
    expect(code).toBe(0);
    expect(text).toContain('stopping parent is gone\nstopped');
  });

  it('finishes its stop when the parent goes after the signal', async () => {
    const running = await start(`
      runUntilSignal(async () => {
        print('stop begun');
        await new Promise((resolve) => process.on('disconnect', () => setImmediate(resolve)));
        print('stopped');
      }, logger, ${LONG_MS});
    `);
    running.kill('SIGTERM');
    await printed('stop begun');
    running.disconnect();
    const { code, output: text } = await ended();
    expect(code).toBe(0);
    expect(text).toContain('stopped');
  });

  it('that can not start says why in a line, and exits with 1', async () => {
    await start(`print('before');
      setImmediate(() => runMain(() => Promise.reject(new Error('config: port: wrong'))));`);
    const { code, output: text } = await ended();
    expect(code).toBe(1);
    expect(text).toContain('config: port: wrong\n');
    expect(text).not.toContain('    at ');
  });
});
