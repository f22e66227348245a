import { parseArgs } from 'node:util';

import type { z } from 'zod';

import { ApiError, messageOf } from '../errors.ts';
import { readConfig } from './config.ts';
import { runMain, StatusError } from './lifecycle.ts';

/** What the options of a command are called, each with what its value is, for the usage line. */
type OptionNames = Readonly<Record<string, string>>;

interface Command<Config> {
  /** Options besides `--config`, as `{ url: 'URL' }` for `--url URL`. */
  options?: OptionNames;
  /**
   * Serves, or does its work and returns: nothing, or the status that the process is to exit with. What it throws is shown
   * in a line.
   */
  run: (
    config: Config,
    options: Readonly<Partial<Record<string, string>>>,
  ) => Promise<number> | Promise<void>;
  /** What the process exits with when it throws, and for a wrong option or configuration; 1 when left out. */
  failureStatus?: number;
}

/** A service's commands by name, of one word or two. `serve` is the one that runs when none is named. */
export interface Commands<Config> extends Readonly<Record<string, Command<Config>>> {
  serve: Command<Config>;
}

const usageOf = (name: string, options: OptionNames): string =>
  [
    ...(name === 'serve' ? [] : [name]),
    '--config FILE',
    ...Object.entries(options).map(([option, value]) => `[--${option} ${value}]`),
  ].join(' ');

function parseOptions(
  args: string[],
  name: string,
  options: OptionNames,
): Partial<Record<string, string>> {
  const usage = usageOf(name, options);
  try {
    const names = ['config', ...Object.keys(options)];
    const { values } = parseArgs({
      args,
      options: Object.fromEntries(names.map((option) => [option, { type: 'string' as const }])),
    });
    return { ...values };
  } catch (error) {
    throw new ApiError('invalid_request', `${messageOf(error)}; expected ${usage}`);
  }
}

/** What the first words name, and what comes after them. */
function splitName(
  commands: Readonly<Record<string, unknown>>,
  argv: string[],
): { name: string; args: string[] } {
  const [first = '', second = ''] = argv;
  if (first === '' || first.startsWith('-')) return { name: 'serve', args: argv };
  const both = `${first} ${second}`;
  if (Object.hasOwn(commands, both)) return { name: both, args: argv.slice(2) };
  return { name: first, args: argv.slice(1) };
}

/**
 * Runs the command that the first arguments name, with the configuration that `--config` names.
 *
 * @returns the status that the process is to exit with once nothing keeps it
 * @throws {ApiError} `invalid_request` for an unknown command or option, naming those that there are, and for a wrong
 *   configuration; where the command has a `failureStatus`, a {@link StatusError} of it instead
 */
export async function runCommand<T extends z.ZodType>(
  schema: T,
  commands: Commands<z.output<T>>,
  argv: string[],
): Promise<number> {
  const { name, args } = splitName(commands, argv);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command)
    throw new ApiError(
      'invalid_request',
      `unknown command "${name}"; there are ${Object.keys(commands).join(', ')}`,
    );
  try {
    const { config: file, ...options } = parseOptions(args, name, command.options ?? {});
    if (!file)
      throw new ApiError(
        'invalid_request',
        `no configuration; start with ${usageOf(name, command.options ?? {})}`,
      );
    return (await command.run(readConfig(schema, file), options)) ?? 0;
  } catch (error) {
    throw withStatus(error, command.failureStatus);
  }
}

const withStatus = (error: unknown, status: number | undefined): unknown =>
  status === undefined ? error : new StatusError(status, error);

/** The main module of a service: {@link runCommand} with the process's arguments. */
export function runService<T extends z.ZodType>(schema: T, commands: Commands<z.output<T>>): void {
  runMain(async () => {
    process.exitCode = await runCommand(schema, commands, process.argv.slice(2));
  });
}
