import type { PeerMethod } from '../../common/wire/peer.ts';
import { currentDialect } from './current.ts';
import { fieldsOf, type AnyResponse, type Dialect, type DialectName } from './dialect.ts';
import { olderDialect } from './older.ts';

/**
 * What is known of a connection's dialect. *settled*: by the message that tells for sure, the first
 * `createWebRtcTransport`, or by one that only one dialect has. Before it `name` is undefined.
 */
export interface Detection {
  name: DialectName | undefined;
  settled: boolean;
}

export const undetected: Detection = { name: undefined, settled: false };

const settled = (name: DialectName): Detection => ({ name, settled: true });

/** What a client's message adds to the knowledge of its dialect. The first sure sign stays. */
export function detect(known: Detection, method: string, data: unknown): Detection {
  if (known.settled) return known;
  const fields = fieldsOf(data);
  switch (method) {
    case 'createWebRtcTransport':
      if (fieldsOf(fields['appData'])['direction'] !== undefined) return settled('current');
      if (fields['producing'] !== undefined || fields['consuming'] !== undefined)
        return settled('older');
      return known;
    case 'getRtcStatsUrl':
      // Only the current app asks this, before all else; its transports will tell for sure.
      return { name: 'current', settled: false };
    case 'join':
      if (known.name === undefined && fields['sctpCapabilities'] !== undefined)
        return settled('older');
      return known;
    default:
      return known;
  }
}

/**
 * While the dialect is open, an answer that the two word differently has both wordings in one: clients of either ignore
 * fields that they don't know. That concerns the router's capabilities, which both ask for before the first transport,
 * and which not every client of the current dialect asks for after `getRtcStatsUrl`.
 */
const eitherDialect: Dialect = {
  name: 'current',
  answer: (method: PeerMethod, response: AnyResponse) =>
    method === 'getRouterRtpCapabilities'
      ? { ...fieldsOf(olderDialect.answer(method, response)), ...response }
      : currentDialect.answer(method, response),
  message: currentDialect.message,
};

/** How to word what goes to a client of which this much is known. */
export function dialectOf({ name }: Detection): Dialect {
  if (name === undefined) return eitherDialect;
  return name === 'current' ? currentDialect : olderDialect;
}
