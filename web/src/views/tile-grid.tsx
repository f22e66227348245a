import type { Meeting, MeetingState } from '../meeting.ts';
import { useElementSize } from './hooks.ts';
import { layoutTiles } from './tile-layout.ts';
import { TileView } from './tile.tsx';
import { tilesOf, type Tile } from './tiles.ts';

interface Props {
  meeting: Meeting;
  state: MeetingState;
  /** Shows the statistics of a consumer or producer. */
  onStats: (id: string) => void;
}

/** A shared screen does not speak, whoever shares it does. */
const isVoice = ({ source }: Tile) => source !== 'screensharing';

/** Everybody's tiles, as large as fits. */
export function TileGrid({ meeting, state, onStats }: Props) {
  const [ref, space] = useElementSize<HTMLDivElement>();
  const tiles = tilesOf(state, meeting.room);
  const featured = tiles.filter(({ source }) => source === 'screensharing').length;
  const { rects, height } = layoutTiles(featured, tiles.length - featured, space);
  return (
    <div class="grid-space" ref={ref}>
      <ul class="grid" role="list" style={{ height: `${Math.max(height, 0)}px` }}>
        {tiles.map((tile, index) => {
          const rect = rects[index];
          return (
            <TileView
              key={tile.key}
              meeting={meeting}
              tile={tile}
              rect={rect}
              speaking={isVoice(tile) && !tile.silent && tile.peerId in state.volumes}
              active={isVoice(tile) && state.activeSpeaker === tile.peerId}
              onStats={onStats}
            />
          );
        })}
      </ul>
    </div>
  );
}
