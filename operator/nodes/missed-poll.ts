/** Why a poll brought no answer: nothing listens at the address, the connection broke, or neither is known. */
export type Miss = 'Refused' | 'Broken' | 'Silent';

const misses: Record<string, Miss> = {
  ECONNREFUSED: 'Refused',
  ECONNRESET: 'Broken',
  EPIPE: 'Broken',
  UND_ERR_SOCKET: 'Broken',
};

/** Chains of causes are short; one that refers to itself must not hang the operator. */
const maxCauses = 8;

/** What a failed poll says about its node. An error that is no sign of a closed port or socket counts as silence. */
export function missOf(error: unknown): Miss {
  let link = error as { code?: unknown; cause?: unknown } | null | undefined;
  for (let depth = 0; depth < maxCauses && typeof link === 'object' && link; depth++) {
    const miss = misses[String(link.code)];
    if (miss) return miss;
    link = link.cause as typeof link;
  }
  return 'Silent';
}
