import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { consumerOf, startCall, type Call } from './fixtures/call.ts';

let call: Call;
beforeEach(async () => {
  call = await startCall();
});
afterEach(() => call.stop());

async function watch(change: Parameters<typeof consumerOf>[1] = {}) {
  const consumer = consumerOf(call.server, change);
  const answered = call.server.connection.ask('newConsumer', consumer);
  await call.pass(1);
  expect(await answered).toBe(true);
  return { ...consumer, subscription: call.room.subscriptions.at(-1)! };
}

const told = (method: string) => call.server.connection.notificationsOf(method);
const layers = () =>
  told('setConsumerPreferredLayers').map(
    ({ spatialLayer, temporalLayer }) => `${String(spatialLayer)}-${String(temporalLayer)}`,
  );

describe('a subscription', () => {
  it('is there with its track and stream once it is complete, and once when announced twice', async () => {
    const { subscription, consumerId } = await watch();
    expect(subscription.stream.getTracks()).toEqual([subscription.track]);
    expect(call.room.state.subscriptions).toMatchObject([
      { peerId: 'grace', source: 'video', kind: 'video', spatialLayers: 3, score: 10 },
    ]);
    await watch({ consumerId });
    expect(call.room.subscriptions).toEqual([subscription]);
    expect(call.told['track-added']).toEqual([[subscription]]);
  });

  it('takes its kind for its source where the sender says none', async () => {
    expect((await watch({ appData: {} })).subscription.source).toBe('video');
  });

  it('follows the size of the picture and asks only when the layer changes', async () => {
    const { subscription } = await watch();
    for (const height of [700, 690, 120]) subscription.setSize({ height });
    expect(layers()).toEqual(['2-2', '0-2']);
  });

  it('needs as much of a width as of the height that goes with it', async () => {
    const { subscription } = await watch();
    subscription.setSize({ width: 320, height: 90 });
    expect(layers()).toEqual(['2-2', '0-2']);
  });

  it('keeps to what was chosen until it is left to the size again', async () => {
    const { subscription } = await watch();
    subscription.setPreferredLayers({ spatialLayer: 1, temporalLayer: 0 });
    subscription.setSize({ height: 120 });
    expect(subscription.state.preferredLayers).toEqual({ spatialLayer: 1, temporalLayer: 0 });
    subscription.setPreferredLayers(undefined);
    expect(layers()).toEqual(['2-2', '1-0', '0-2']);
  });

  it('asks for no layers of what has none', async () => {
    const { subscription } = await watch({ type: 'simple' });
    subscription.setSize({ height: 100 });
    expect(layers()).toEqual([]);
  });

  it('is received while nothing speaks against it', async () => {
    const { subscription } = await watch();
    subscription.setVisible(false);
    subscription.setPaused(true);
    expect(subscription.state.pausedFor).toEqual(['hidden', 'application']);
    subscription.setVisible(true);
    expect(told('resumeConsumer')).toEqual([]);
    subscription.setPaused(false);
    expect([told('pauseConsumer'), told('resumeConsumer')]).toMatchObject([[{}], [{}]]);
    expect(subscription.state.pausedFor).toEqual([]);
  });

  it('has a priority, within its bounds', async () => {
    const { subscription, consumerId } = await watch();
    subscription.setPriority(200);
    subscription.setPriority(200);
    expect(told('setConsumerPriority')).toEqual([{ consumerId, priority: 200 }]);
    expect(() => subscription.setPriority(0)).toThrow('priority: expected 1 to 255');
  });

  it('follows what the server says of it', async () => {
    const { subscription, consumerId } = await watch();
    const { connection } = call.server;
    connection.notify('consumerPaused', { consumerId });
    connection.notify('consumerLayersChanged', { consumerId, layers: { spatialLayer: 1 } });
    connection.notify('consumerScore', { consumerId, score: { score: 4 } });
    expect(subscription.state).toMatchObject({
      ...{ producerPaused: true, layers: { spatialLayer: 1 }, score: 4 },
    });
    connection.notify('consumerResumed', { consumerId });
    connection.notify('consumerLayersChanged', { consumerId });
    expect(subscription.state).toMatchObject({ producerPaused: false, layers: undefined });
    expect(call.told['track-muted']).toEqual([
      [subscription, true],
      [subscription, false],
    ]);
  });

  it('ends with its peer', async () => {
    const peer = { peerId: 'grace', displayName: 'Grace', device: {} };
    call.server.connection.notify('newPeer', { peer });
    const { subscription } = await watch();
    call.server.connection.notify('peerClosed', { peerId: 'grace' });
    expect(subscription.closed).toBe(true);
    expect(call.told['peer-left']).toEqual([[peer]]);
  });

  it('never is when its consumer is closed while it is made', async () => {
    const consumer = consumerOf(call.server);
    const answered = call.server.connection.ask('newConsumer', consumer);
    call.server.connection.notify('consumerClosed', { consumerId: consumer.consumerId });
    await call.pass(1);
    await answered;
    expect(call.room.subscriptions).toEqual([]);
  });

  it('is refused on a transport that never comes', async () => {
    const answered = call.server.connection.ask(
      'newConsumer',
      consumerOf(call.server, { transportId: 'unknown' }),
    );
    await call.pass(6000);
    expect(await answered).toBe(false);
  });
});

describe('voices', () => {
  it('are received of those who speak, of so many as are wanted', async () => {
    for (const peerId of ['ada', 'bob', 'cleo'])
      await watch({ peerId, kind: 'audio', type: 'simple' });
    call.room.setAudioTopN(1);
    const heard = () =>
      call.room.state.subscriptions
        .filter(({ pausedFor }) => pausedFor.length === 0)
        .map(({ peerId }) => peerId);
    expect(heard()).toEqual(['ada']);
    const speak = (...peerVolumes: { peerId: string; volume: number }[]) =>
      call.server.connection.notify('speakingPeers', { peerVolumes });
    speak({ peerId: 'bob', volume: -40 }, { peerId: 'cleo', volume: -20 });
    expect(heard()).toEqual(['cleo']);
    expect(call.room.state.volumes).toEqual({ bob: -40, cleo: -20 });
    speak();
    expect(heard()).toEqual(['cleo']);
    expect(call.room.state.volumes).toEqual({});
    await call.pass(5000);
    speak({ peerId: 'bob', volume: -60 });
    expect(heard()).toEqual(['bob']);
    call.room.setAudioTopN(undefined);
    expect(heard()).toEqual(['ada', 'bob', 'cleo']);
  });
});

describe('an unknown notification', () => {
  it.each(['somethingNew', 'constructor', 'toString'])('named %s changes nothing', (method) => {
    const { state } = call.room;
    call.server.connection.notify(method, {});
    expect(call.room.state).toEqual(state);
  });
});
