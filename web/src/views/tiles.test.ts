import { describe, expect, it } from '@jest/globals';

import type { PublicationState, RoomState, SubscriptionState } from '../../../client/src/index.ts';
import { initialRoomState } from '../../../client/src/state.ts';
import { initialsOf, tilesOf } from './tiles.ts';

const self = { peerId: 'me', displayName: 'Ada' };

const subscription = (peerId: string, source: string, paused = false): SubscriptionState => ({
  id: `${peerId}-${source}`,
  consumerId: 'c',
  producerId: 'p',
  peerId,
  kind: source === 'audio' ? 'audio' : 'video',
  source,
  stream: {} as MediaStream,
  type: 'simple',
  pausedFor: [],
  producerPaused: paused,
  interrupted: false,
  layers: undefined,
  preferredLayers: undefined,
  spatialLayers: 1,
  temporalLayers: 1,
  score: undefined,
});

const publication = (source: string, paused = false): PublicationState => ({
  source,
  kind: source === 'audio' ? 'audio' : 'video',
  track: {} as MediaStreamTrack,
  paused,
  producerId: source,
  score: undefined,
  interrupted: false,
});

const room = (change: Partial<RoomState>): RoomState => ({ ...initialRoomState, ...change });
const grace = { peerId: 'grace', displayName: 'Grace', device: {} };

describe('tilesOf', () => {
  it('shows a lone person without anything as a silent tile', () => {
    expect(tilesOf(room({}), self)).toMatchObject([{ self: true, source: 'audio', silent: true }]);
  });

  it('puts shared screens first and this person before the others', () => {
    const state = room({
      peers: [grace],
      subscriptions: [subscription('grace', 'video'), subscription('grace', 'screensharing')],
      publications: [publication('video'), publication('screensharing')],
    });
    expect(tilesOf(state, self).map(({ peerId, source }) => `${peerId} ${source}`)).toEqual([
      'me screensharing',
      'grace screensharing',
      'me video',
      'grace video',
    ]);
  });

  it('shows camera and voice of a person as one tile', () => {
    const state = room({
      peers: [grace],
      subscriptions: [subscription('grace', 'audio'), subscription('grace', 'video')],
    });
    expect(tilesOf(state, self)[1]).toMatchObject({
      source: 'video',
      consumer: { id: 'grace-video' },
      audio: { id: 'grace-audio' },
      silent: false,
    });
  });

  it('shows a person without a camera by their voice, and whether it is off', () => {
    const state = room({ peers: [grace], subscriptions: [subscription('grace', 'audio', true)] });
    expect(tilesOf(state, self)[1]).toMatchObject({
      source: 'audio',
      consumer: { id: 'grace-audio' },
      silent: true,
    });
  });

  it('shows media of a peer that was not announced yet, under its id', () => {
    const state = room({ subscriptions: [subscription('early', 'video')] });
    expect(tilesOf(state, self)[1]).toMatchObject({ peerId: 'early', name: 'early' });
  });

  it('never shows this person twice', () => {
    const state = room({ peers: [{ ...grace, peerId: 'me' }] });
    expect(tilesOf(state, self)).toHaveLength(1);
  });
});

describe('initialsOf', () => {
  it.each([
    ['Ada Lovelace', 'AL'],
    ['grace', 'G'],
    ['Édith  van  Piaf', 'ÉP'],
    ['👩‍🚀 Sally', '👩‍🚀S'],
    ['   ', '?'],
    ['', '?'],
  ])('of %j are %s', (name, want) => {
    expect(initialsOf(name)).toBe(want);
  });
});
