import { describe, expect, it } from '@jest/globals';

import type { PeerMessage, SessionRequest, SessionResponse } from '../../../common/wire/peer.ts';
import { asSignaling, type ClientRequests, type ServerNotifications } from './messages.ts';

type Notifications = Exclude<PeerMessage['method'], 'newConsumer' | 'newDataConsumer'>;

describe('the messages', () => {
  it('are those of the platform', () => {
    // The type check fails here where the platform says something else.
    const known = (method: Notifications): keyof ServerNotifications => method;
    const resumed = (
      answer: SessionResponse<'resumeSession'>,
    ): ClientRequests['resumeSession']['answer'] => answer;
    const resume = (
      request: ClientRequests['resumeSession']['data'],
    ): SessionRequest<'resumeSession'> => request;
    const nothing = { consumerIds: [], dataConsumerIds: [], transportIds: {} };
    expect(known('newPeer')).toBe('newPeer');
    expect(resume(nothing)).toBe(nothing);
    const alive = { ...nothing, transportIds: [], peers: [], producerIds: [], dataProducerIds: [] };
    expect(resumed(alive)).toBe(alive);
  });
});

describe('asSignaling', () => {
  it('hands requests and notifications on as they are', async () => {
    const sent: unknown[] = [];
    const signaling = asSignaling({
      request: (...args) => Promise.resolve(sent.push(args)),
      notify: (...args) => sent.push(args),
    });
    await signaling.request('leave', undefined);
    signaling.notify('closeProducer', { producerId: 'p' });
    expect(sent).toEqual([
      ['leave', undefined],
      ['closeProducer', { producerId: 'p' }],
    ]);
  });
});
