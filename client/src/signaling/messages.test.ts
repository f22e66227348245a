import { describe, expect, it } from '@jest/globals';

import type { PeerMessage, SessionRequest, SessionResponse } from '../../../common/wire/peer.ts';
import { asSignaling, type ClientRequests, type ServerNotifications } from './messages.ts';

type Platform = {
  [M in PeerMessage['method']]: Extract<PeerMessage, { method: M }>['data'];
};
/** What the platform tells, apart from the two requests, whose RTC parameters the platform does not type. */
type PlatformNotifications = Omit<Platform, 'newConsumer' | 'newDataConsumer'>;

/** Fails the type check where the first is not as the second has it. */
type Fits<_Platform extends Client, Client> = true;

describe('the messages', () => {
  it('are those of the platform', () => {
    const fits: {
      notifications: Fits<PlatformNotifications, ServerNotifications>;
      resumed: Fits<SessionResponse<'resumeSession'>, ClientRequests['resumeSession']['answer']>;
      resume: Fits<ClientRequests['resumeSession']['data'], SessionRequest<'resumeSession'>>;
    } = { notifications: true, resumed: true, resume: true };
    expect(Object.values(fits)).not.toContain(false);
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
