import type { PublicationState, RoomState, SubscriptionState } from '../../../client/src/index.ts';

/** One rectangle of the grid: a person's camera (or, without one, their voice), or a screen that they share. */
export interface Tile {
  /** Stable while the tile stands for the same thing. */
  key: string;
  peerId: string;
  name: string;
  self: boolean;
  source: 'video' | 'screensharing' | 'audio';
  /** What it shows; of a tile with a camera or a screen the video, of another the voice. */
  consumer: SubscriptionState | undefined;
  /** The voice that goes with it. */
  audio: SubscriptionState | undefined;
  producer: PublicationState | undefined;
  /** Whether their microphone is off, as far as one can tell. */
  silent: boolean;
}

interface Self {
  peerId: string;
  displayName: string;
}

function selfTiles(state: RoomState, self: Self): Tile[] {
  const find = (source: string) => state.publications.find((one) => one.source === source);
  const camera = find('video');
  const microphone = find('audio');
  const screen = find('screensharing');
  const common = {
    peerId: self.peerId,
    name: self.displayName,
    self: true,
    consumer: undefined,
    audio: undefined,
    silent: !microphone || microphone.paused,
  };
  const main: Tile = {
    ...common,
    key: 'self',
    source: camera ? 'video' : 'audio',
    producer: camera ?? microphone,
  };
  return screen
    ? [main, { ...common, key: 'self-screen', source: 'screensharing', producer: screen }]
    : [main];
}

function peerTiles(state: RoomState, peerId: string, name: string): Tile[] {
  const own = state.subscriptions.filter((consumer) => consumer.peerId === peerId);
  const audio = own.find(({ source }) => source === 'audio');
  const camera = own.find(({ source }) => source === 'video');
  const common = {
    peerId,
    name,
    self: false,
    producer: undefined,
    silent: !audio || audio.producerPaused,
  };
  const main: Tile = {
    ...common,
    key: peerId,
    source: camera ? 'video' : 'audio',
    consumer: camera ?? audio,
    audio,
  };
  const screens = own
    .filter(({ source }) => source === 'screensharing')
    .map((consumer): Tile => {
      const source = 'screensharing';
      return { ...common, key: consumer.id, source, consumer, audio: undefined };
    });
  return [main, ...screens];
}

/** All tiles: shared screens, then this person, then the others in the order in which they came. */
export function tilesOf(state: RoomState, self: Self): Tile[] {
  // Media may arrive a moment before the one it is from is announced.
  const names = new Map(state.subscriptions.map(({ peerId }) => [peerId, peerId]));
  const order = new Map(state.peers.map((peer) => [peer.peerId, peer.displayName || peer.peerId]));
  for (const [peerId, name] of names) if (!order.has(peerId)) order.set(peerId, name);
  order.delete(self.peerId);
  const tiles = [
    ...selfTiles(state, self),
    ...[...order].flatMap(([peerId, name]) => peerTiles(state, peerId, name)),
  ];
  const isScreen = (tile: Tile) => tile.source === 'screensharing';
  return [...tiles.filter(isScreen), ...tiles.filter((tile) => !isScreen(tile))];
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

const firstCharacter = (word: string | undefined): string => {
  for (const { segment } of segmenter.segment(word ?? '')) return segment;
  return '';
};

/** The initials that stand in for a picture: of the first word and the last. */
export function initialsOf(name: string): string {
  const words = name.split(/\s+/u).filter((word) => word !== '');
  const last = words.length > 1 ? words.at(-1) : undefined;
  return (firstCharacter(words[0]) + firstCharacter(last)).toUpperCase() || '?';
}
