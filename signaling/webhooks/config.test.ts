import { describe, expect, it } from '@jest/globals';

import { parseOrThrow } from '../../common/validate.ts';
import { webhooksConfig } from './config.ts';

const key = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 1).toString('base64')}`;
const endpoint = { name: 'app', url: 'https://app.example.com/hooks', secrets: [key(32)] };

describe('the configuration of webhooks', () => {
  const load = (webhooks: unknown) => parseOrThrow(webhooksConfig, webhooks, 'webhooks');

  it('takes several endpoints, each with several secrets', () => {
    const other = { ...endpoint, name: 'b', secrets: [key(24), key(64)], events: ['peer_left'] };
    expect(load({ endpoints: [endpoint, other] }).endpoints).toEqual([endpoint, other]);
  });

  it.each([
    ['endpoints[0].url', { ...endpoint, url: 'ftp://app.example.com' }],
    ['endpoints[0].url', { ...endpoint, url: 'file:///etc/passwd' }],
    ['endpoints[0].url', { ...endpoint, url: 'https://ann:secret@app.example.com' }],
    ['endpoints[0].name', { ...endpoint, name: 'App 1' }],
    ['endpoints[0].secrets', { ...endpoint, secrets: [] }],
    ['endpoints[0].secrets[0]', { ...endpoint, secrets: ['s'.repeat(32)] }],
    ['endpoints[0].secrets[0]', { ...endpoint, secrets: [key(23)] }],
    ['endpoints[0].secrets[0]', { ...endpoint, secrets: [key(65)] }],
    ['endpoints[0].events[0]', { ...endpoint, events: ['peer_jumped'] }],
    ['endpoints[0].events', { ...endpoint, events: [] }],
    ['retries', { ...endpoint, retries: 3 }],
  ])('refuses an endpoint, naming %s', (name, wrong) => {
    expect(() => load({ endpoints: [wrong] })).toThrow(name);
  });

  it.each([
    ['two endpoints have the same name', { endpoints: [endpoint, endpoint] }],
    ['claimMs', { claimMs: 5_000, timeoutMs: 5_000 }],
    ['forgetMs', { forgetMs: 20_000 }],
  ])('refuses what does not go together: %s', (name, wrong) => {
    expect(() => load(wrong)).toThrow(name);
  });
});
