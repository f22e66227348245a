/** Where tiles go, in CSS pixels. Pure: what to place and how much room there is → rectangles. */
export interface Rect {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Space {
  width: number;
  height: number;
}

export interface TileLayout {
  /** One for each tile, in the order given: first those that are featured. */
  rects: Rect[];
  /** What the tiles need; more than there is means that the grid scrolls. */
  height: number;
}

const ASPECT = 16 / 9;
const GAP = 10;
/** Below this a tile's controls would not fit. */
const MIN_TILE_WIDTH = 140;
/** Width of the strip beside a shared screen: a share of the whole, within bounds. */
const STRIP = { share: 0.22, min: MIN_TILE_WIDTH, max: 280 };
/** From here on there is room for the strip at the side. */
const SIDE_STRIP_MIN_WIDTH = 640;
/** On a tall space the shared screen takes at most this much of it. */
const STAGE_MAX_SHARE = 0.65;

/** The widest a tile can be with this many columns. */
function tileWidthFor(columns: number, count: number, { width, height }: Space): number {
  const rows = Math.ceil(count / columns);
  const byWidth = (width - GAP * (columns - 1)) / columns;
  const byHeight = ((height - GAP * (rows - 1)) / rows) * ASPECT;
  return Math.min(byWidth, byHeight);
}

interface Cells {
  columns: number;
  tileWidth: number;
}

/** The number of columns that makes the tiles largest; when even those are too small, the grid scrolls instead. */
function bestCells(count: number, space: Space): Cells {
  let best: Cells = { columns: 1, tileWidth: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const tileWidth = tileWidthFor(columns, count, space);
    if (tileWidth > best.tileWidth) best = { columns, tileWidth };
  }
  const smallest = Math.min(MIN_TILE_WIDTH, space.width);
  if (best.tileWidth >= smallest) return best;
  const fitting = Math.floor((space.width + GAP) / (smallest + GAP));
  const columns = Math.max(1, Math.min(count, fitting));
  return { columns, tileWidth: (space.width - GAP * (columns - 1)) / columns };
}

/** A centred grid of equal tiles; a last row that is not full is centred too. */
export function layoutGrid(count: number, space: Space): TileLayout {
  if (count === 0 || space.width <= 0) return { rects: [], height: 0 };
  const { columns, tileWidth } = bestCells(count, space);
  const tileHeight = tileWidth / ASPECT;
  const rows = Math.ceil(count / columns);
  const usedHeight = rows * tileHeight + GAP * (rows - 1);
  const top = Math.max(0, (space.height - usedHeight) / 2);
  const rects = Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const rowWidth = inRow * tileWidth + GAP * (inRow - 1);
    return {
      left: (space.width - rowWidth) / 2 + (index % columns) * (tileWidth + GAP),
      top: top + row * (tileHeight + GAP),
      width: tileWidth,
      height: tileHeight,
    };
  });
  return { rects, height: Math.max(usedHeight, 0) };
}

const shift = (layout: TileLayout, left: number, top: number): Rect[] =>
  layout.rects.map((rect) => ({ ...rect, left: rect.left + left, top: rect.top + top }));

function layoutBeside(featured: number, others: number, space: Space): TileLayout {
  const strip = Math.min(STRIP.max, Math.max(STRIP.min, space.width * STRIP.share));
  const stage = { width: space.width - strip - GAP, height: space.height };
  const big = layoutGrid(featured, stage);
  const small = layoutGrid(others, { width: strip, height: space.height });
  return {
    rects: [...big.rects, ...shift(small, stage.width + GAP, 0)],
    height: Math.max(big.height, small.height),
  };
}

function layoutAbove(featured: number, others: number, space: Space): TileLayout {
  const stageHeight = Math.min(space.height * STAGE_MAX_SHARE, space.width / ASPECT);
  const big = layoutGrid(featured, { width: space.width, height: stageHeight });
  const below = Math.max(stageHeight, big.height) + GAP;
  const rest = { width: space.width, height: Math.max(0, space.height - below) };
  const small = layoutGrid(others, rest);
  return { rects: [...big.rects, ...shift(small, 0, below)], height: below + small.height };
}

/**
 * Places all tiles. Without featured ones (shared screens) they form a grid; with them, those are large and the others
 * line up beside or, in a narrow space, below.
 */
export function layoutTiles(featured: number, others: number, space: Space): TileLayout {
  if (featured === 0) return layoutGrid(others, space);
  if (others === 0) return layoutGrid(featured, space);
  const beside = space.width >= SIDE_STRIP_MIN_WIDTH && space.width > space.height;
  return beside ? layoutBeside(featured, others, space) : layoutAbove(featured, others, space);
}
