import { createKnex } from '../../common/db/knex.ts';
import {
  createWebhooksRepository,
  type DeadLetter,
  type DeadLetterFilter,
  type WebhooksRepository,
} from '../../common/db/repositories/webhooks.ts';
import { ApiError } from '../../common/errors.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import type { SignalingConfig } from '../config.ts';
import { createWebhookMetrics } from './metrics.ts';
import { createSender, type Sender } from './sender.ts';

type CommandConfig = Pick<SignalingConfig, 'database' | 'webhooks'>;
/** Options of the command line, as they were given. */
type Options = Readonly<Partial<Record<string, string>>>;

const defaultLimit = 1_000;
/** Dead letters that are read at once. */
const pageSize = 100;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function withWebhooks<T>(
  { database }: CommandConfig,
  work: (webhooks: WebhooksRepository) => Promise<T>,
): Promise<T> {
  const knex = createKnex(database);
  try {
    return await work(createWebhooksRepository(knex));
  } finally {
    await knex.destroy();
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function filterOf({ endpoint, room, id }: Options): DeadLetterFilter {
  if (id !== undefined && !uuid.test(id))
    throw new ApiError('invalid_request', `--id: expected the id of an event, not "${id}"`);
  return { endpoint, room, id };
}

function limitOf({ limit }: Options): number {
  if (limit === undefined) return defaultLimit;
  const value = Number(limit);
  if (!/^\d{1,9}$/.test(limit) || value === 0)
    throw new ApiError('invalid_request', `--limit: expected a number above 0, not "${limit}"`);
  return value;
}

/**
 * Prints dead letters, one JSON object a line: by endpoint and room, in the order of the room.
 *
 * @throws {ApiError} `invalid_request` for a wrong option, `store_unavailable` without Postgres
 */
export async function listDead(config: CommandConfig, options: Options): Promise<void> {
  const filter = filterOf(options);
  const limit = limitOf(options);
  await withWebhooks(config, async (webhooks) => {
    for (const letter of await webhooks.listDeadLetters(filter, limit)) say(JSON.stringify(letter));
  });
}

/** Posts each dead letter once. What is taken is no dead letter any more. */
async function redeliverEach(
  webhooks: WebhooksRepository,
  letters: DeadLetter[],
  senders: ReadonlyMap<string, Sender>,
): Promise<number> {
  let failures = 0;
  for (const letter of letters) {
    const { endpoint, room, id, type } = letter;
    const send = senders.get(endpoint);
    const error = send ? await send(letter) : 'no such endpoint in the configuration';
    if (error === undefined) await webhooks.deleteDeadLetter(letter);
    else failures++;
    say(JSON.stringify({ endpoint, room, id, type, result: error ?? 'delivered' }));
  }
  return failures;
}

/**
 * Posts dead letters again, all or those that the options name, and deletes those that are taken. Each keeps its id and its
 * sequence, and comes after later ones of its room.
 *
 * @returns 1 where one was not taken; it stays
 * @throws {ApiError} `invalid_request` for a wrong option, `store_unavailable` without Postgres
 */
export async function redeliver(config: CommandConfig, options: Options): Promise<number> {
  const filter = filterOf(options);
  const metrics = createWebhookMetrics(createServiceMetrics().registry);
  const senders = new Map(
    config.webhooks.endpoints.map((endpoint) => [
      endpoint.name,
      createSender({ config: config.webhooks, metrics, endpoint }),
    ]),
  );
  return withWebhooks(config, async (webhooks) => {
    let failures = 0;
    for (;;) {
      // What failed stays and comes first again.
      const letters = await webhooks.listDeadLetters(filter, pageSize, failures);
      failures += await redeliverEach(webhooks, letters, senders);
      if (letters.length < pageSize) return failures === 0 ? 0 : 1;
    }
  });
}
