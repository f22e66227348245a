import { useEffect, useState } from 'preact/hooks';

import type { RoomClient } from '../room/room-client.ts';
import { MicrophoneIcon } from './icons.tsx';
import { TileControls } from './tile-controls.tsx';
import type { Rect } from './tile-layout.ts';
import { initialsOf, type Tile } from './tiles.ts';
import { VideoPicture } from './video-picture.tsx';

interface Props {
  client: RoomClient;
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
  if (consumer.paused) return 'Paused by you';
  if (consumer.producerPaused) return `Paused by ${name}`;
  return consumer.track ? '' : 'Connecting…';
}

/** Tells the client how large the picture is, so that it asks for a fitting layer. */
function usePictureHeight(client: RoomClient, tile: Tile, height: number) {
  const id = tile.source === 'audio' ? undefined : tile.consumer?.id;
  const pixels = Math.round(height * devicePixelRatio);
  useEffect(() => {
    if (id !== undefined && pixels > 0) client.setPictureHeight(id, pixels);
  }, [id, pixels]);
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

function Picture({ tile, onSize }: { tile: Tile; onSize: (size: string) => void }) {
  const track = tile.source === 'audio' ? undefined : (tile.consumer ?? tile.producer)?.track;
  if (track) {
    const mirrored = tile.self && tile.source === 'video';
    const label = `Video: ${labelOf(tile)}`;
    return <VideoPicture track={track} label={label} mirrored={mirrored} onSize={onSize} />;
  }
  return (
    <span class="avatar" aria-hidden="true">
      {initialsOf(tile.name)}
    </span>
  );
}

export function TileView({ client, tile, rect, speaking, active, onStats }: Props) {
  usePictureHeight(client, tile, rect?.height ?? 0);
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
      data-consumer-id={tile.consumer?.id ?? ''}
      data-self={String(tile.self)}
      style={rect && place(rect)}
    >
      <Picture tile={tile} onSize={setSize} />
      {still !== '' && <p class="still">{still}</p>}
      <TileControls client={client} tile={tile} size={size} onStats={onStats} />
      <Name tile={tile} speaking={speaking} />
    </li>
  );
}
