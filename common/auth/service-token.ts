import { SignJWT, errors, jwtVerify } from 'jose';

import { ApiError } from '../errors.ts';

/** Which service a token is for; a token for one is of no use at another. */
export type ServiceAudience = 'media-node' | 'signaling' | 'operator';

export interface ServiceTokenOptions {
  /** Shared by all services of one installation, at least 32 bytes. */
  secret: string;
  /** Who signs: a pod's or instance's name, for the receiver's log. */
  issuer: string;
  /** How long a token is good, in seconds. */
  ttlSeconds: number;
}

const keyOf = (secret: string): Uint8Array => new TextEncoder().encode(secret);

/** Signs tokens for internal calls and keeps one for each audience until half its life is over. */
export function createServiceTokenSigner(
  options: ServiceTokenOptions,
): (audience: ServiceAudience) => Promise<string> {
  const cache = new Map<ServiceAudience, { token: Promise<string>; renewAt: number }>();
  const key = keyOf(options.secret);
  const sign = (audience: ServiceAudience): Promise<string> =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(options.issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${options.ttlSeconds}s`)
      .sign(key);
  return (audience) => {
    const cached = cache.get(audience);
    if (cached && cached.renewAt > Date.now()) return cached.token;
    const token = sign(audience);
    cache.set(audience, { token, renewAt: Date.now() + options.ttlSeconds * 500 });
    return token;
  };
}

/**
 * Checks the `Authorization` header of an internal call.
 *
 * @returns the issuer
 * @throws {ApiError} `missing_token` or `invalid_token`, both 401
 */
export async function verifyServiceToken(
  authorization: string | undefined,
  audience: ServiceAudience,
  secret: string,
): Promise<string> {
  const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
  if (!token)
    throw new ApiError(
      'missing_token',
      'an internal call needs "Authorization: Bearer <service token>"',
    );
  try {
    const { payload } = await jwtVerify(token, keyOf(secret), {
      audience,
      algorithms: ['HS256'],
      requiredClaims: ['iss', 'exp'],
    });
    return payload.iss ?? '';
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new ApiError('invalid_token', `service token: ${error.message}`, { cause: error });
  }
}
