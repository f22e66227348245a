import { describe, expect, it } from '@jest/globals';

import type { NewConsumer, ServerNotification } from '../signaling/messages.ts';
import { addChat, addConsumer, addPeers, applyNotification, displayNameOf } from './reduce.ts';
import { initialRoomState, withoutConnection, type RoomState } from './state.ts';

const ada = { peerId: 'ada', displayName: 'Ada', device: {} };
const grace = { peerId: 'grace', displayName: 'Grace', device: {} };

const announced = (change: Partial<NewConsumer> = {}): NewConsumer => ({
  peerId: 'grace',
  transportId: 't',
  consumerId: 'c1',
  producerId: 'p1',
  kind: 'video',
  rtpParameters: { codecs: [], encodings: [{ scalabilityMode: 'L3T3' }] },
  type: 'simulcast',
  producerPaused: false,
  consumerScore: { score: 9, producerScore: 10 },
  appData: { source: 'video' },
  ...change,
});

const track = {} as MediaStreamTrack;
const publishing: RoomState = {
  ...initialRoomState,
  peers: [ada],
  producers: [
    { source: 'audio', kind: 'audio', track, muted: false, id: 'mic', score: undefined },
    { source: 'video', kind: 'video', track, muted: false, id: 'cam', score: undefined },
  ],
};
const watching = addConsumer({ ...publishing, peers: [ada, grace] }, announced());

const after = (state: RoomState, ...messages: ServerNotification[]): RoomState =>
  messages.reduce(applyNotification, state);

describe('a consumer', () => {
  it('knows its layers from its scalability mode', () => {
    expect(watching.consumers[0]).toMatchObject({
      spatialLayers: 3,
      temporalLayers: 3,
      source: 'video',
      score: 9,
      track: undefined,
    });
  });

  it('is there once when it is announced twice', () => {
    expect(addConsumer(watching, announced()).consumers).toHaveLength(1);
  });

  it('takes its kind for its source where the sender says none', () => {
    const state = addConsumer(initialRoomState, announced({ kind: 'audio', appData: {} }));
    expect(state.consumers[0]?.source).toBe('audio');
  });

  it('follows pause, resume, layers, score and close', () => {
    const paused = after(watching, { method: 'consumerPaused', data: { consumerId: 'c1' } });
    expect(paused.consumers[0]?.producerPaused).toBe(true);
    const resumed = after(
      paused,
      { method: 'consumerResumed', data: { consumerId: 'c1' } },
      {
        method: 'consumerLayersChanged',
        data: { consumerId: 'c1', layers: { spatialLayer: 1, temporalLayer: 2 } },
      },
      { method: 'consumerScore', data: { consumerId: 'c1', score: { score: 4 } } },
    );
    expect(resumed.consumers[0]).toMatchObject({
      producerPaused: false,
      layers: { spatialLayer: 1, temporalLayer: 2 },
      score: 4,
    });
    const none = after(resumed, { method: 'consumerLayersChanged', data: { consumerId: 'c1' } });
    expect(none.consumers[0]?.layers).toBeUndefined();
    expect(after(none, { method: 'consumerClosed', data: { consumerId: 'c1' } }).consumers).toEqual(
      [],
    );
  });

  it('goes with its peer', () => {
    const left = after(watching, { method: 'peerClosed', data: { peerId: 'grace' } });
    expect(left.consumers).toEqual([]);
    expect(left.peers).toEqual([ada]);
    expect(left.events.at(-1)).toMatchObject({ kind: 'left', text: 'Grace left' });
  });
});

describe('peers', () => {
  it('are those that the join names and those announced meanwhile, each once', () => {
    const meanwhile = after(initialRoomState, { method: 'newPeer', data: { peer: ada } });
    expect(addPeers(meanwhile, [ada, grace]).peers).toEqual([ada, grace]);
  });

  it('are told when they come, not when an unknown one goes', () => {
    const came = after(initialRoomState, { method: 'newPeer', data: { peer: ada } });
    expect(came.events.at(-1)?.text).toBe('Ada joined');
    expect(after(came, { method: 'peerClosed', data: { peerId: 'nobody' } })).toBe(came);
  });

  it('are called by their newest name, and by their id where they have none', () => {
    const renamed = after(watching, {
      method: 'peerDisplayNameChanged',
      data: { peerId: 'grace', displayName: 'Admiral', oldDisplayName: 'Grace' },
    });
    expect(displayNameOf(renamed, 'grace')).toBe('Admiral');
    expect(displayNameOf(renamed, 'nobody')).toBe('nobody');
  });

  it('speak until the server says that nobody does', () => {
    const loud = after(watching, {
      method: 'speakingPeers',
      data: { peerVolumes: [{ peerId: 'grace', volume: -30 }] },
    });
    expect(loud.speaking).toEqual({ grace: -30 });
    expect(after(loud, { method: 'speakingPeers', data: { peerVolumes: [] } }).speaking).toEqual(
      {},
    );
  });

  it('have an active speaker, or none', () => {
    const active = after(watching, { method: 'activeSpeaker', data: { peerId: 'ada' } });
    expect(active.activeSpeaker).toBe('ada');
    expect(after(active, { method: 'activeSpeaker', data: {} }).activeSpeaker).toBeUndefined();
  });
});

describe('a producer', () => {
  it('shows the best of its layers as its score', () => {
    const scored = after(publishing, {
      method: 'producerScore',
      data: {
        producerId: 'cam',
        score: [
          { encodingIdx: 0, ssrc: 1, rid: 'r0', score: 10 },
          { encodingIdx: 1, ssrc: 2, rid: 'r1', score: 0 },
        ],
      },
    });
    expect(scored.producers.find(({ id }) => id === 'cam')?.score).toBe(10);
  });

  it('is muted by an administrator, and its owner told', () => {
    const muted = after(publishing, { method: 'producerMuted', data: { producerId: 'mic' } });
    expect(muted.producers.map((one) => one.muted)).toEqual([true, false]);
    expect(muted.events.at(-1)).toMatchObject({ kind: 'problem' });
  });

  it('is kept, unpublished, when the server loses it', () => {
    const lost = after(publishing, { method: 'producerClosed', data: { producerId: 'cam' } });
    expect(lost.producers.map(({ id }) => id)).toEqual(['mic', undefined]);
  });

  it('is not changed by what is said of an unknown one', () => {
    expect(after(publishing, { method: 'producerMuted', data: { producerId: 'x' } })).toBe(
      publishing,
    );
  });
});

describe('a notification', () => {
  it.each(['mediasoupVersion', 'somethingNew', 'constructor', 'toString'])(
    'named %s changes nothing',
    (method) => {
      const message = { method, data: { version: '3' } } as unknown as ServerNotification;
      expect(applyNotification(watching, message)).toBe(watching);
    },
  );
});

describe('a lost connection', () => {
  it('leaves what this peer publishes and what was said', () => {
    const said = addChat(watching, {
      peerId: 'grace',
      displayName: 'Grace',
      text: 'hello',
      self: false,
    });
    const lost = withoutConnection(said);
    expect(lost).toMatchObject({ peers: [], consumers: [], chatOpen: false });
    expect(lost.producers.map(({ id, source }) => [id, source])).toEqual([
      [undefined, 'audio'],
      [undefined, 'video'],
    ]);
    expect(lost.chat).toHaveLength(1);
  });
});
