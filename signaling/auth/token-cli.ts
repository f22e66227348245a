import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { parse as parseYaml } from 'yaml';

import { ApiError } from '../../common/errors.ts';
import { runMain } from '../../common/service/lifecycle.ts';
import { signRoomToken } from './room-token.ts';

const usage = `usage: npm run token -- --room ROOM --peer PEER [--ttl SECONDS] [--admin]
         [--no-publish] [--no-subscribe] [--no-data] [--config FILE]
The key is roomAuth.secret of the configuration file, or ROOM_SECRET. "*" stands for every room or peer.`;

const options = {
  room: { type: 'string' },
  peer: { type: 'string' },
  ttl: { type: 'string', default: '3600' },
  config: { type: 'string' },
  admin: { type: 'boolean', default: false },
  publish: { type: 'boolean', default: true },
  subscribe: { type: 'boolean', default: true },
  data: { type: 'boolean', default: true },
} as const;

/** The key alone: the other keys of the file may need variables that are not set here. */
function secretOf(file: string | undefined, env: NodeJS.ProcessEnv): string {
  const document = file
    ? (parseYaml(readFileSync(file, 'utf8')) as { roomAuth?: { secret?: unknown } } | null)
    : { roomAuth: { secret: env['ROOM_SECRET'] } };
  const given = document?.roomAuth?.secret;
  const variable = typeof given === 'string' ? /^\$\{(\w+)\}$/.exec(given)?.[1] : undefined;
  const secret = variable ? env[variable] : given;
  if (typeof secret !== 'string' || secret.length < 32)
    throw new ApiError('invalid_request', `no key of at least 32 bytes\n${usage}`);
  return secret;
}

/** Signs the token that the arguments describe. */
export async function tokenFromArgs(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { values } = parseArgs({ args, options, allowNegative: true });
  const { room, peer, ttl, config, ...grants } = values;
  const ttlSeconds = Number(ttl);
  if (!room || !peer || !Number.isSafeInteger(ttlSeconds))
    throw new ApiError('invalid_request', usage);
  return signRoomToken({ secret: secretOf(config, env), room, peer, ttlSeconds, grants });
}

if (import.meta.main)
  runMain(async () => {
    process.stdout.write(`${await tokenFromArgs(process.argv.slice(2), process.env)}\n`);
  });
