import { describe, expect, it } from '@jest/globals';

import {
  initialRoomState,
  type ConsumerState,
  type ProducerState,
  type RoomState,
  type Source,
} from '../room/state.ts';
import { initialsOf, tilesOf } from './tiles.ts';

const self = { peerId: 'me', displayName: 'Ada' };

const consumer = (peerId: string, source: Source, paused = false): ConsumerState => ({
  id: `${peerId}-${source}`,
  producerId: 'p',
  peerId,
  kind: source === 'audio' ? 'audio' : 'video',
  source,
  type: 'simple',
  track: undefined,
  paused: false,
  producerPaused: paused,
  layers: undefined,
  preferred: undefined,
  spatialLayers: 1,
  temporalLayers: 1,
  score: undefined,
});

const producer = (source: Source, muted = false): ProducerState => ({
  source,
  kind: source === 'audio' ? 'audio' : 'video',
  track: {} as MediaStreamTrack,
  muted,
  id: source,
  score: undefined,
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
      consumers: [consumer('grace', 'video'), consumer('grace', 'screensharing')],
      producers: [producer('video'), producer('screensharing')],
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
      consumers: [consumer('grace', 'audio'), consumer('grace', 'video')],
    });
    expect(tilesOf(state, self)[1]).toMatchObject({
      source: 'video',
      consumer: { id: 'grace-video' },
      audio: { id: 'grace-audio' },
      silent: false,
    });
  });

  it('shows a person without a camera by their voice, and whether it is off', () => {
    const state = room({ peers: [grace], consumers: [consumer('grace', 'audio', true)] });
    expect(tilesOf(state, self)[1]).toMatchObject({
      source: 'audio',
      consumer: { id: 'grace-audio' },
      silent: true,
    });
  });

  it('shows media of a peer that was not announced yet, under its id', () => {
    const state = room({ consumers: [consumer('early', 'video')] });
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
