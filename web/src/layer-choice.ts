import type { Layers } from '../../client/src/index.ts';

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
