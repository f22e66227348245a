import { ApiError } from '../../common/errors.ts';
import { peerMethods, type PeerMethod } from '../../common/wire/peer.ts';
import type { Extension, Extensions } from '../sessions/extensions.ts';
import { fieldsOf, type ModelRequest } from './dialect.ts';

/**
 * What clients may ask, in either dialect. Whether a message comes as a request or as a notification makes no difference
 * to its meaning: what one dialect asks as a request the other only tells.
 */
const forwarded = [
  'getRouterRtpCapabilities',
  'connectWebRtcTransport',
  'join',
  'restartIce',
  'produce',
  'produceData',
  'closeProducer',
  'pauseProducer',
  'resumeProducer',
  'pauseConsumers',
  'resumeConsumers',
  'requestConsumerKeyFrame',
  'setConsumerPreferredLayers',
  'setConsumerPriority',
  'changeDisplayName',
  'getTransportStats',
  'getProducerStats',
  'getConsumerStats',
  'getDataProducerStats',
  'getDataConsumerStats',
] as const satisfies PeerMethod[];

const asIs = new Map<string, PeerMethod>(forwarded.map((method) => [method, method]));
const oneToMany = new Map<string, PeerMethod>([
  ['pauseConsumer', 'pauseConsumers'],
  ['resumeConsumer', 'resumeConsumers'],
]);
/** What clients may ask that have announced an extension, by the extension. */
const ofSession = new Map<string, { extension: Extension; method: SessionCall }>([
  ['leave', { extension: 'resume', method: 'leave' }],
  ['resumeSession', { extension: 'resume', method: 'resumeSession' }],
  ['closeTransport', { extension: 'move', method: 'closeTransport' }],
]);
type SessionCall = Extract<ModelRequest, { kind: 'session' }>['method'];

const throttling = new Set(['applyNetworkThrottle', 'stopNetworkThrottle']);

/** Methods with a metric label of their own; the rest is counted as `other`. */
export const knownClientMethods: ReadonlySet<string> = new Set([
  ...asIs.keys(),
  ...oneToMany.keys(),
  ...ofSession.keys(),
  ...throttling,
  'getRtcStatsUrl',
  'createWebRtcTransport',
]);

/** Which side a transport is for: `appData.direction`, or in the older dialect `producing` or `consuming`. */
function directionOf(data: Record<string, unknown>): unknown {
  const direction = fieldsOf(data['appData'])['direction'];
  if (direction !== undefined) return direction;
  if (data['producing'] === true) return 'producer';
  if (data['consuming'] === true) return 'consumer';
  return undefined;
}

function createTransport(data: unknown, extensions: Extensions): ModelRequest {
  const fields = fieldsOf(data);
  const direction = directionOf(fields);
  if (direction === undefined)
    throw new ApiError(
      'invalid_request',
      'createWebRtcTransport: appData.direction: expected "producer" or "consumer"',
      { fields: [{ field: 'appData.direction', message: 'expected "producer" or "consumer"' }] },
    );
  const forceTcp = fields['forceTcp'] ?? false;
  return {
    ...{ kind: 'forward', method: 'createWebRtcTransport', data: { direction, forceTcp } },
    ...(extensions.has('move') ? { replaces: fields['replaces'] } : {}),
  };
}

/** Leaves out what the model does not have, such as the older dialect's `sctpCapabilities`. */
function onlyKnown(method: PeerMethod, data: unknown): unknown {
  const known = peerMethods[method].request.shape;
  return Object.fromEntries(Object.entries(fieldsOf(data)).filter(([key]) => key in known));
}

/**
 * Words a client's message in the platform's model.
 *
 * @returns undefined for a method that does not exist
 * @throws {ApiError} `unsupported_method` for what the platform refuses, `invalid_request` for a transport without a side
 */
export function toModel(
  method: string,
  data: unknown,
  extensions: Extensions,
): ModelRequest | undefined {
  const same = asIs.get(method);
  if (same) return { kind: 'forward', method: same, data: onlyKnown(same, data) };
  const batch = oneToMany.get(method);
  if (batch)
    return {
      kind: 'forward',
      method: batch,
      data: { consumerIds: [fieldsOf(data)['consumerId']] },
    };
  if (method === 'createWebRtcTransport') return createTransport(data, extensions);
  const session = ofSession.get(method);
  if (session && extensions.has(session.extension))
    return { kind: 'session', method: session.method, data: data ?? {} };
  if (method === 'getRtcStatsUrl') return { kind: 'answer', data: {} };
  if (throttling.has(method))
    throw new ApiError(
      'unsupported_method',
      `${method}: this platform does not throttle the network of its hosts`,
    );
  return undefined;
}
