import { afterEach, describe, expect, it } from '@jest/globals';

import { consumerOf, startCall, type Call } from './fixtures/call.ts';
import { fakeTrack } from './fixtures/fake-media.ts';
import { Refusal } from './fixtures/fake-server.ts';
import { defaultTiming } from './timing.ts';

const grace = { peerId: 'grace', displayName: 'Grace', device: {} };
const heidi = { peerId: 'heidi', displayName: 'Heidi', device: {} };
const { minDelayMs } = defaultTiming.reconnect;

let call: Call;
afterEach(() => call.stop());

/** Announces a video of Grace, and lets it come. */
async function watch(change: Parameters<typeof consumerOf>[1] = {}) {
  const consumer = consumerOf(call.server, change);
  expect(await announce(consumer)).toBe(true);
  return consumer;
}

async function announce(consumer: Record<string, unknown>): Promise<boolean> {
  const answered = call.server.connection.ask('newConsumer', consumer);
  await call.pass(1);
  return answered;
}

/** The connection breaks, and the next one opens. */
async function lose(code?: number): Promise<void> {
  call.server.connection.break(code, 'lost');
  await call.pass(minDelayMs + 1);
}

const query = () => Object.fromEntries(call.server.connection.url.searchParams);

describe('joining', () => {
  it('asks for the router, makes both transports and joins, in this order', async () => {
    call = await startCall();
    await call.room.whenConnected();
    expect(call.server.connection.requests.map(({ method }) => method)).toEqual([
      'getRouterRtpCapabilities',
      'createWebRtcTransport',
      'createWebRtcTransport',
      'join',
    ]);
    expect(query()).toEqual({ roomId: 'room', peerId: 'me', extensions: 'move,resume' });
    expect(call.room.state).toMatchObject({ connection: 'connected', peers: [] });
  });

  it('asks for a token at each connection', async () => {
    let count = 0;
    call = await startCall({ token: () => Promise.resolve(`token-${(count += 1)}`) });
    expect(query()).toMatchObject({ token: 'token-1' });
    await lose();
    expect(query()).toMatchObject({ token: 'token-2' });
  });

  it('is over when the server does not take the peer', async () => {
    call = await startCall({ timing: { reconnect: { minDelayMs: 10 } } });
    call.server.on('join', () => {
      throw new Refusal(403, 'no such right');
    });
    const { room } = call;
    call.server.connection.break(4001);
    await call.pass(20);
    expect(room.state).toMatchObject({
      connection: 'closed',
      closeReason: 'failed',
      message: 'the room could not be joined: no such right',
    });
  });

  it('tries again when the server can not take the peer now', async () => {
    call = await startCall();
    call.server.on(
      'join',
      () => {
        throw new Refusal(503, 'no node');
      },
      1,
    );
    await lose(4001);
    expect(call.room.state).toMatchObject({ connection: 'reconnecting', message: 'no node' });
    await call.pass(2 * minDelayMs + 1);
    expect(call.room.state.connection).toBe('connected');
  });

  it('publishes what was there before', async () => {
    call = await startCall();
    const publication = await call.room.publish(fakeTrack('audio'), { paused: true });
    await call.pass(1);
    await publication.published;
    expect(call.server.connection.requestsOf('produce')).toMatchObject([
      { kind: 'audio', paused: true, appData: { source: 'audio' } },
    ]);
  });
});

describe.each([
  ['a server that resumes nothing', undefined, 1006],
  ['a session that is lost', 'token', 4004],
  ['a peer that is to be bound anew', 'token', 4001],
])('after a loss, with %s', (_title, resumeToken, code) => {
  const rejoin = async () => {
    call = await startCall(resumeToken === undefined ? {} : { resumeToken });
    const old = await watch();
    const publication = await call.room.publish(fakeTrack('video'));
    await call.pass(1);
    const state = () => call.room.state.subscriptions[0];
    const [subscription] = call.room.subscriptions;
    call.server.on('join', () => ({ peers: [grace] }));
    await lose(code);
    return { old, publication, subscription: subscription!, state };
  };

  it('joins anew without a token, and publishes the same track again', async () => {
    const { publication } = await rejoin();
    expect(query()).not.toHaveProperty('resume');
    expect(call.server.connection.requests.map(({ method }) => method)).toContain('join');
    const produced = call.server.connection.requestsOf('produce');
    expect(produced).toMatchObject([{ kind: 'video', appData: { source: 'video' } }]);
    expect(produced[0]).not.toHaveProperty('replaces');
    expect(call.room.publications).toEqual([publication]);
    expect(publication.state.producerId).toBeDefined();
  });

  it('keeps the subscription and its stream for what comes of the same source', async () => {
    const { old, subscription, state } = await rejoin();
    const { stream } = subscription;
    const [track] = stream.getTracks();
    expect(state()).toMatchObject({ interrupted: true, consumerId: old.consumerId });
    const next = consumerOf(call.server);
    await announce(next);
    call.media.arrive(call.media.handlers.at(-1), 1);
    await call.pass(100);
    expect(call.room.subscriptions).toEqual([subscription]);
    expect(subscription.stream).toBe(stream);
    expect(stream.getTracks()).toHaveLength(1);
    expect(stream.getTracks()).not.toContain(track);
    expect(state()).toMatchObject({ interrupted: false, consumerId: next.consumerId });
    expect(call.told['track-switched']).toEqual([[subscription, 'replaced']]);
    expect(call.told['track-removed']).toBeUndefined();
  });

  it('gives up what does not come again', async () => {
    const { subscription } = await rejoin();
    await call.pass(defaultTiming.linger.rejoinedMs);
    expect(subscription.closed).toBe(true);
    expect(call.told['track-removed']).toEqual([[subscription]]);
  });
});

describe('after a rejoin', () => {
  it('tells who came and who went meanwhile', async () => {
    call = await startCall();
    call.server.connection.notify('newPeer', { peer: grace });
    await watch();
    call.server.on('join', () => ({ peers: [heidi] }));
    await lose();
    expect(call.told['peer-left']).toEqual([[grace]]);
    expect(call.told['peer-joined']).toEqual([[grace], [heidi]]);
    expect(call.room.subscriptions).toEqual([]);
  });
});

describe('resuming', () => {
  const alive = (change: Record<string, unknown> = {}) => ({
    ...{ peers: [grace], producerIds: [], dataProducerIds: [] },
    ...{ consumerIds: [], dataConsumerIds: [], ...change },
  });

  it('continues the session: nothing is made anew', async () => {
    call = await startCall({ resumeToken: 'secret' });
    const consumer = await watch();
    const publication = await call.room.publish(fakeTrack('video'));
    await call.pass(1);
    const producerIds = [publication.state.producerId];
    call.server.on('resumeSession', () =>
      alive({ producerIds, consumerIds: [consumer.consumerId] }),
    );
    const [subscription] = call.room.subscriptions;
    const tracks = subscription!.stream.getTracks();
    await lose();
    expect(query()).toMatchObject({ resume: 'secret' });
    const [first] = call.server.connection.requests;
    expect(first).toMatchObject({
      method: 'resumeSession',
      data: {
        consumerIds: [consumer.consumerId],
        dataConsumerIds: [],
        transportIds: {
          producer: call.server.transport('producer'),
          consumer: call.server.transport('consumer'),
        },
      },
    });
    expect(call.server.connection.requests).toHaveLength(1);
    expect(call.server.transports).toHaveLength(2);
    expect(subscription!.stream.getTracks()).toEqual(tracks);
    expect(subscription!.state.interrupted).toBe(false);
    expect(call.room.state.connection).toBe('connected');
    expect(call.server.connection.notificationsOf('resumeConsumers')).toEqual([
      { consumerIds: [consumer.consumerId] },
    ]);
  });

  it('publishes what the server has lost, and closes what nobody wants', async () => {
    call = await startCall({ resumeToken: 'secret' });
    await call.room.publish(fakeTrack('video'));
    await call.pass(1);
    call.server.on('resumeSession', () => alive({ producerIds: ['orphan'] }));
    await lose();
    expect(call.server.connection.notificationsOf('closeProducer')).toEqual([
      { producerId: 'orphan' },
    ]);
    expect(call.server.connection.requestsOf('produce')).toMatchObject([{ kind: 'video' }]);
  });

  it('holds what is not alive any more for a moment, and then ends it', async () => {
    call = await startCall({ resumeToken: 'secret' });
    await watch();
    call.server.on('resumeSession', () => alive());
    await lose();
    expect(call.room.state.subscriptions).toMatchObject([{ interrupted: true }]);
    await call.pass(defaultTiming.linger.resumedMs);
    expect(call.room.subscriptions).toEqual([]);
  });

  it('asks again by the same socket while the server can not say', async () => {
    call = await startCall({ resumeToken: 'secret' });
    call.server.on('resumeSession', () => alive());
    call.server.on(
      'resumeSession',
      () => {
        throw new Refusal(503, 'the store is away');
      },
      2,
    );
    await lose();
    await call.pass(1000);
    expect(call.server.connection.requestsOf('resumeSession')).toHaveLength(3);
    expect(call.server.connections).toHaveLength(2);
    expect(call.room.state.connection).toBe('connected');
  });

  it('joins anew where the server refuses to resume', async () => {
    call = await startCall({ resumeToken: 'secret' });
    call.server.on('resumeSession', () => {
      throw new Refusal(500, 'unknown method');
    });
    await lose();
    expect(call.server.connection.closedWith).toBe(4004);
    await call.pass(2 * minDelayMs + 1);
    expect(query()).not.toHaveProperty('resume');
    expect(call.room.state.connection).toBe('connected');
  });

  it('keeps the token while no connection comes about', async () => {
    call = await startCall({ resumeToken: 'secret' });
    call.server.on('resumeSession', () => alive());
    call.server.isUp = false;
    await lose();
    await call.pass(10_000);
    expect(call.room.state.connection).toBe('reconnecting');
    call.server.isUp = true;
    await call.pass(8001);
    expect(query()).toMatchObject({ resume: 'secret' });
    expect(call.room.state.connection).toBe('connected');
  });

  it('tells anew what the server may have missed', async () => {
    call = await startCall({ resumeToken: 'secret' });
    const { consumerId } = await watch();
    const [subscription] = call.room.subscriptions;
    call.server.on('resumeSession', () => alive({ consumerIds: [consumerId] }));
    call.server.connection.break();
    subscription!.setPaused(true);
    subscription!.setPriority(9);
    await call.pass(minDelayMs + 1);
    expect(call.server.connection.notificationsOf('pauseConsumers')).toEqual([
      { consumerIds: [consumerId] },
    ]);
    expect(call.server.connection.notificationsOf('setConsumerPriority')).toEqual([
      { consumerId, priority: 9 },
    ]);
  });
});

describe('a request while there is no connection', () => {
  it('waits for the next one', async () => {
    call = await startCall();
    call.server.connection.break();
    const asked = call.room.getServerStats('t');
    await call.pass(minDelayMs + 1);
    expect(await asked).toEqual([]);
  });

  it('fails after its time', async () => {
    call = await startCall({ timing: { requestTimeoutMs: 5000 } });
    call.server.isUp = false;
    call.server.connection.break();
    const asked = call.room.getServerStats('t').catch((error: unknown) => error);
    await call.pass(5000);
    expect(await asked).toMatchObject({ message: 'getTransportStats: no connection in time' });
  });
});

describe('the end', () => {
  it('comes after the last try', async () => {
    call = await startCall({ timing: { reconnect: { tries: 3 } } });
    call.server.isUp = false;
    call.server.connection.break();
    await call.pass(60_000);
    expect(call.room.state).toMatchObject({ connection: 'closed', closeReason: 'failed' });
    expect(call.server.connections).toHaveLength(4);
  });

  it('comes when the server says so, with its words', async () => {
    call = await startCall({ resumeToken: 'secret' });
    const { room } = call;
    const publication = await room.publish(fakeTrack('video'));
    await watch();
    call.server.connection.break(4000, 'removed by an administrator');
    await call.pass(60_000);
    expect(room.state).toMatchObject({
      ...{ connection: 'closed', closeReason: 'ended', message: 'removed by an administrator' },
      ...{ subscriptions: [], publications: [] },
    });
    expect(publication.closed).toBe(true);
    expect(call.server.connections).toHaveLength(1);
  });

  it('tells the server that the peer leaves', async () => {
    call = await startCall({ resumeToken: 'secret' });
    call.room.close();
    await call.pass(60_000);
    expect(call.server.connection.requestsOf('leave')).toHaveLength(1);
    expect(call.server.connection.closedWith).toBe(4000);
    expect(call.room.state).toMatchObject({ connection: 'closed', closeReason: 'left' });
    expect(call.server.connections).toHaveLength(1);
  });
});
