import { z } from 'zod';

import { webhookEventTypes } from '../../common/wire/webhooks.ts';

const ms = (fallback: number, what: string, most = 86_400_000) =>
  z.int().positive().max(most).default(fallback).describe(`${what}, in milliseconds`);
const count = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(what);

const month = 2_592_000_000;
const leastKeyBytes = 24;
const mostKeyBytes = 64;

const isKey = (secret: string): boolean => {
  const { byteLength } = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return byteLength >= leastKeyBytes && byteLength <= mostKeyBytes;
};

const secret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+=*$/, 'expected whsec_ and a key in base64')
  .refine(isKey, `expected a key of ${leastKeyBytes} to ${mostKeyBytes} bytes`);

const endpoint = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'expected a label of RFC 1123')
    .describe('its name in metrics, logs and the tables, where what it has got is kept under it'),
  url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => !/^https?:\/\/[^/?#]*@/.test(url), 'may not have a user and password')
    .describe('where events are posted to'),
  secrets: z
    .array(secret)
    .min(1)
    .max(5)
    .describe('keys that sign, whsec_ and base64 each; every delivery is signed by all of them'),
  events: z
    .array(z.enum(webhookEventTypes))
    .min(1)
    .optional()
    .describe('types that it gets; default: all'),
});
export type WebhookEndpoint = z.output<typeof endpoint>;

/** `webhooks` of the signaling service's configuration. */
export const webhooksConfig = z
  .strictObject({
    endpoints: z
      .array(endpoint)
      .default([])
      .describe(
        'who gets events of rooms and peers: name, url, secrets, events; without one none are written',
      )
      .refine(
        (all) => new Set(all.map(({ name }) => name)).size === all.length,
        'two endpoints have the same name',
      ),
    pollMs: ms(500, 'pause between looks for events', 60_000),
    concurrency: count(8, 'rooms whose events one replica posts to one endpoint at once'),
    batchSize: count(100, 'events of one room in a row before others have their turn'),
    timeoutMs: ms(5_000, 'how long an endpoint may take to answer', 300_000),
    claimMs: ms(
      15_000,
      'how long a replica that fell silent keeps a room from the others; longer than timeoutMs',
      3_600_000,
    ),
    maxResponseBytes: count(65_536, 'how much of an answer is read, in bytes'),
    retryMinMs: ms(1_000, 'pause after a first failure; it doubles, with jitter'),
    retryMaxMs: ms(300_000, 'longest such pause'),
    maxAttempts: count(50, 'attempts after which an event is a dead letter, and its room goes on'),
    maxAgeMs: ms(
      86_400_000,
      'age at which an event becomes a dead letter with its next failure',
      month,
    ),
    retainMs: ms(3_600_000, 'how long events are kept that all endpoints have got', month),
    deadLetterRetainMs: ms(604_800_000, 'how long dead letters are kept', month),
    shutdownMs: ms(
      1_000,
      'how long deliveries under way may go on when a replica stops, before others repeat them',
      60_000,
    ),
    upkeepMs: ms(10_000, 'pause between clean-ups, and between measurements of the lag'),
    forgetMs: ms(
      600_000,
      'after how long an endpoint that no replica has in its configuration is forgotten, with what it has not got',
    ),
  })
  .refine(({ claimMs, timeoutMs }) => claimMs > timeoutMs, {
    path: ['claimMs'],
    message: 'must be longer than timeoutMs',
  })
  .refine(({ forgetMs, upkeepMs }) => forgetMs >= 3 * upkeepMs, {
    path: ['forgetMs'],
    message: 'must be at least three times upkeepMs',
  })
  .prefault({});
export type WebhooksConfig = z.output<typeof webhooksConfig>;
