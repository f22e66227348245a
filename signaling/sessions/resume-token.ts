import { createHash, randomBytes } from 'node:crypto';

/** Bytes of randomness in a token: nobody guesses it. */
const tokenBytes = 32;

export const makeResumeToken = (): string => randomBytes(tokenBytes).toString('base64url');

/** What the tables keep of a token: whoever reads them can't resume anything. */
export const hashOfToken = (token: string): string =>
  createHash('sha256').update(token).digest('hex');
