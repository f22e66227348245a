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
