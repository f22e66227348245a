/** What `docs/webhooks.md` shows is what endpoints get. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { webhookEvent, webhookEventTypes, type WebhookEvent } from '../../common/wire/webhooks.ts';
import { signatureHeaders } from './signature.ts';

const text = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(
    ([, block = '']) => block,
  );

describe('docs/webhooks.md', () => {
  const examples = blocks('json').map((block) => JSON.parse(block) as WebhookEvent);

  it('has an example of each type of event, below a heading and in the table', () => {
    expect(examples.map(({ type }) => type)).toEqual(webhookEventTypes);
    for (const type of webhookEventTypes) {
      expect(text).toContain(`\n### ${type}\n`);
      expect(text).toContain(`| [\`${type}\`](#${type})`);
    }
  });

  it.each(examples.map((example) => [example.type, example] as const))(
    'shows all that %s has, and nothing else',
    (_, example) => {
      // What the schema does not know, parsing takes away.
      expect(webhookEvent.parse(example)).toEqual(example);
    },
  );

  it('verifies what is signed, by the old or the new secret, and nothing else', async () => {
    const [source = ''] = blocks('js');
    const { verify } = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as {
      verify: (headers: object, body: string, secrets: string[], now?: number) => unknown;
    };
    const [old, young, other] = [1, 2, 3].map(
      (fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`,
    ) as [string, string, string];
    const body = JSON.stringify(examples[0]);
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = signatureHeaders({ id: examples[0]?.id ?? '', timestamp, body }, [young, old]);
    for (const known of [[old], [young], [other, old]])
      expect(verify(headers, body, known)).toEqual(examples[0]);
    expect(() => verify(headers, body, [other])).toThrow('not signed');
    expect(() => verify(headers, `${body} `, [young])).toThrow('not signed');
    expect(() => verify({ ...headers, 'webhook-id': 'x' }, body, [young])).toThrow('not signed');
    expect(() => verify(headers, body, [young], timestamp + 301)).toThrow('too old');
    const unsigned = { ...headers, 'webhook-timestamp': undefined };
    expect(() => verify(unsigned, body, [young])).toThrow('too old');
  });
});
