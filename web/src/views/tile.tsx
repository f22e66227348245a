import { useState } from 'preact/hooks';

import { MicrophoneIcon } from './icons.tsx';
import type { Meeting } from '../meeting.ts';
import { isPausedByUs, TileControls } from './tile-controls.tsx';
import type { Rect } from './tile-layout.ts';
import { initialsOf, type Tile } from './tiles.ts';
import { VideoPicture } from './video-picture.tsx';

interface Props {
  meeting: Meeting;
  tile: Tile;
  /** Missing until the grid has been measured. */
  rect: Rect | undefined;
  speaking: boolean;
  /** The one who speaks most. */
  active: boolean;
  onStats: (id: string) => void;
}

const labelOf = ({ name, self, source }: Tile): string => {
  const who = self ? `${name} (you)` : name;
  return source === 'screensharing' ? `Screen of ${who}` : who;
};

/** Why nothing moves, if that is so. */
function stillness({ consumer, source, name }: Tile): string {
  if (!consumer || source === 'audio') return '';
  if (isPausedByUs(consumer)) return 'Paused by you';
  if (consumer.producerPaused) return `Paused by ${name}`;
  return consumer.interrupted ? 'Reconnecting…' : '';
}

const place = ({ left, top, width, height }: Rect) => ({
  transform: `translate(${left}px, ${top}px)`,
  width: `${width}px`,
  height: `${height}px`,
});

function Name({ tile, speaking }: { tile: Tile; speaking: boolean }) {
  const silent = tile.source !== 'screensharing' && tile.silent;
  return (
    <p class="name">
      {silent && <MicrophoneIcon off />}
      <span class="text">{labelOf(tile)}</span>
      {silent && <span class="sr-only">, muted</span>}
      {speaking && <span class="sr-only">, speaking</span>}
      <span class="voice" aria-hidden="true" />
    </p>
  );
}

interface PictureProps {
  meeting: Meeting;
  tile: Tile;
  onSize: (size: string) => void;
}

function Picture({ meeting, tile, onSize }: PictureProps) {
  const { consumer, producer, source } = tile;
  const shown =
    source === 'audio'
      ? undefined
      : (meeting.room.subscription(consumer?.id ?? '') ?? producer?.track);
  if (shown) {
    const mirrored = tile.self && source === 'video';
    const label = `Video: ${labelOf(tile)}`;
    return <VideoPicture shown={shown} label={label} mirrored={mirrored} onSize={onSize} />;
  }
  return (
    <span class="avatar" aria-hidden="true">
      {initialsOf(tile.name)}
    </span>
  );
}

export function TileView({ meeting, tile, rect, speaking, active, onStats }: Props) {
  const [size, setSize] = useState('');
  const still = stillness(tile);
  const classes = ['tile', tile.source, speaking ? 'speaking' : '', active ? 'active' : ''];
  return (
    <li
      class={classes.filter(Boolean).join(' ')}
      aria-label={labelOf(tile)}
      data-testid="tile"
      data-peer-id={tile.peerId}
      data-source={tile.source}
      data-consumer-id={tile.consumer?.consumerId ?? ''}
      data-self={String(tile.self)}
      style={rect && place(rect)}
    >
      <Picture meeting={meeting} tile={tile} onSize={setSize} />
      {still !== '' && <p class="still">{still}</p>}
      <TileControls meeting={meeting} tile={tile} size={size} onStats={onStats} />
      <Name tile={tile} speaking={speaking} />
    </li>
  );
}
