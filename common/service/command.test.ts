import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { runCommand } from './command.ts';

const schema = z.strictObject({ port: z.int().default(80) });

describe('the command line of a service', () => {
  let folder: string;
  let file: string;
  let calls: unknown[][];

  const note = (name: string) => (config: unknown, options: unknown) => {
    calls.push([name, config, options]);
    return Promise.resolve();
  };
  const commands = {
    serve: { run: note('serve') },
    migrate: { run: note('migrate') },
    check: { options: { url: 'URL' }, run: note('check') },
    'mail list': { options: { to: 'NAME' }, run: note('mail list') },
  };
  const run = (...argv: string[]) => runCommand(schema, commands, argv);

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'kube-sfu-command-'));
    file = path.join(folder, 'service.yaml');
    await writeFile(file, 'port: 8081\n');
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    calls = [];
  });

  it('serves where no command is named', async () => {
    await run('--config', file);
    expect(calls).toEqual([['serve', { port: 8081 }, {}]]);
  });

  it('takes the command that comes first', async () => {
    await run('migrate', '--config', file);
    expect(calls).toEqual([['migrate', { port: 8081 }, {}]]);
  });

  it('takes a command of two words', async () => {
    await run('mail', 'list', '--config', file, '--to', 'ann');
    expect(calls).toEqual([['mail list', { port: 8081 }, { to: 'ann' }]]);
  });

  it('gives a command its options', async () => {
    await run('check', '--url', 'http://h', '--config', file);
    expect(calls).toEqual([['check', { port: 8081 }, { url: 'http://h' }]]);
  });

  it('gives back the status of a command, and 0 of one that has none', async () => {
    const statuses = { ...commands, audit: { run: () => Promise.resolve(3) } };
    expect(await runCommand(schema, statuses, ['audit', '--config', file])).toBe(3);
    expect(await run('migrate', '--config', file)).toBe(0);
  });

  it.each([
    ['what it throws', ['--config', 'FILE'], 'no luck'],
    ['a wrong option', ['--port', '1'], '--port'],
    ['a configuration that is not there', ['--config', '/nowhere'], '/nowhere'],
  ])('fails with the status that a command has for failures: %s', async (_, args, message) => {
    const fails = { failureStatus: 2, run: () => Promise.reject(new Error('no luck')) };
    const argv = ['audit', ...args.map((arg) => (arg === 'FILE' ? file : arg))];
    const error: unknown = await runCommand(schema, { ...commands, audit: fails }, argv).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ exitStatus: 2 });
    expect((error as Error).message).toContain(message);
  });

  it.each([
    ['a command that there is not', ['mend'], 'unknown command "mend"; there are serve, migrate'],
    ['a name that every object has', ['toString'], 'unknown command "toString"'],
    ['no configuration', [], 'no configuration; start with --config FILE'],
    ['a command without one', ['check'], 'start with check --config FILE [--url URL]'],
    ['an unknown option', ['--confg', 'x'], /--confg.*; expected --config FILE/s],
    ['the option of another command', ['migrate', '--url', 'u'], /--url.*expected migrate/s],
    ['an option without its value', ['check', '--url'], /--url.*expected check/s],
    ['the first word of a command alone', ['mail'], 'unknown command "mail"; there are'],
    ['two commands', ['migrate', 'check'], /'check'.*expected migrate --config FILE/s],
  ])('refuses %s, and says what it expected', async (_, argv, message) => {
    await expect(run(...argv)).rejects.toThrow(message);
    await expect(run(...argv)).rejects.toMatchObject({ code: 'invalid_request' });
    expect(calls).toEqual([]);
  });

  it('names a file that is not there', async () => {
    const none = path.join(folder, 'none.yaml');
    await expect(run('--config', none)).rejects.toThrow(none);
  });

  it('runs nothing with a wrong configuration', async () => {
    const wrong = path.join(folder, 'wrong.yaml');
    await writeFile(wrong, 'prt: 1\n');
    await expect(run('migrate', '--config', wrong)).rejects.toThrow('prt');
    expect(calls).toEqual([]);
  });
});
