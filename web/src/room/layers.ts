import type { Layers } from './state.ts';

/** Height in pixels of the lowest layer of a usual camera (720 in three layers, 360 in two); each next one doubles it. */
const LOWEST_HEIGHT = 180;
/** How far a layer may be stretched before the next one is worth its bytes. */
const STRETCH = 1.25;

/**
 * The lowest spatial layer that looks sharp in a picture of this height.
 *
 * @param height - of the picture, in device pixels
 */
export function spatialLayerForHeight(height: number, spatialLayers: number): number {
  const top = spatialLayers - 1;
  for (let layer = 0; layer < top; layer += 1) {
    if (LOWEST_HEIGHT * 2 ** layer * STRETCH >= height) return layer;
  }
  return Math.max(0, top);
}

/** A layer choice as the value of a form control: `2`, or `2-1` where the temporal layer is chosen too. */
export const formatLayers = ({ spatialLayer, temporalLayer }: Layers): string =>
  temporalLayer === undefined ? String(spatialLayer) : `${spatialLayer}-${temporalLayer}`;

/** Reads {@link formatLayers}. `undefined` for anything else: the choice is then left to the picture's size. */
export function parseLayers(value: string): Layers | undefined {
  const [, spatial, temporal] = /^(\d)(?:-(\d))?$/.exec(value) ?? [];
  if (spatial === undefined) return undefined;
  return {
    spatialLayer: Number(spatial),
    temporalLayer: temporal === undefined ? undefined : Number(temporal),
  };
}
