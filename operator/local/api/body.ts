import type Koa from 'koa';
import { parse as parseYaml } from 'yaml';

import { messageOf } from '../../../common/errors.ts';
import { StatusError } from './status.ts';

/**
 * Reads a request's body as JSON, or as YAML where its type says so; null when there is none.
 *
 * @throws {StatusError} 413, 400
 */
export async function readBody(ctx: Koa.Context, limitBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes)
      throw new StatusError(
        413,
        'RequestEntityTooLarge',
        `the body has more than ${limitBytes} bytes`,
      );
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') return null;
  try {
    return (ctx.request.type.includes('yaml') ? parseYaml(text) : JSON.parse(text)) as unknown;
  } catch (error) {
    throw new StatusError(400, 'BadRequest', `the body can't be read: ${messageOf(error)}`);
  }
}
