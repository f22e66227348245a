import { webcrypto } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { signatureHeaders } from './signature.ts';

const message = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: 1614265330,
  body: '{"test": 2432232314}',
};
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

describe('the signature of a delivery', () => {
  it('is that of the Standard Webhooks specification', () => {
    expect(signatureHeaders(message, [secret])).toEqual({
      'webhook-id': message.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('comes once for each secret, so that a receiver may know the old or the new one', async () => {
    const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const signatures = signatureHeaders(message, [other, secret])['webhook-signature']?.split(' ');
    expect(signatures?.[1]).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
    const key = await webcrypto.subtle.importKey(
      'raw',
      Buffer.alloc(32, 7),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['verify'],
    );
    const valid = await webcrypto.subtle.verify(
      'HMAC',
      key,
      Buffer.from(signatures?.[0]?.slice(3) ?? '', 'base64'),
      Buffer.from(`${message.id}.${message.timestamp}.${message.body}`),
    );
    expect(valid).toBe(true);
  });
});
