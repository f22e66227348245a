import type { types } from 'mediasoup-client';

import type { EncodingOptions } from '../publication.ts';

/** Simulcast layers of the camera, lowest first, each with three temporal layers. Bit rates in bit/s. */
const cameraLayers: readonly types.RtpEncodingParameters[] = [
  { scaleResolutionDownBy: 4, maxBitrate: 150_000, scalabilityMode: 'L1T3' },
  { scaleResolutionDownBy: 2, maxBitrate: 500_000, scalabilityMode: 'L1T3' },
  { scaleResolutionDownBy: 1, maxBitrate: 1_500_000, scalabilityMode: 'L1T3' },
];

/**
 * Chromium's VP8 encoder sends this many layers for at least so many pixels, and leaves the largest ones out where more
 * are asked for: a small camera must be asked for fewer, or its full picture is never sent.
 */
const layersForPixels: readonly [pixels: number, layers: number][] = [
  [960 * 540, 3],
  [480 * 270, 2],
  [0, 1],
];

/** The layers for a camera's picture; an unknown size is taken for a large one. */
export function cameraEncodings({
  width,
  height,
}: MediaTrackSettings): types.RtpEncodingParameters[] {
  const pixels = width && height ? width * height : Number.POSITIVE_INFINITY;
  const layers = layersForPixels.find(([least]) => pixels >= least)?.[1] ?? 1;
  return cameraLayers.slice(-layers);
}

/** One layer: text on a shared screen is of no use at a quarter of its size. */
const screenEncodings: types.RtpEncodingParameters[] = [{ maxBitrate: 2_500_000 }];

/** Where the congestion control starts, in kbit/s: the browser's own start of 300 takes seconds to reach all layers. */
const START_BITRATE_KBPS = 1000;

type ProduceOptions = Pick<types.ProducerOptions, 'encodings' | 'codec' | 'codecOptions'>;

const usualCodec = 'video/VP8';

const findCodec = (codecs: readonly types.RtpCodecCapability[], wanted: string) =>
  codecs.find(({ mimeType }) => mimeType.toLowerCase() === wanted.toLowerCase());

/** How a track of this source is published, where the application does not say otherwise. */
export function produceOptions(
  { source, track, options }: { source: string; track: MediaStreamTrack; options: EncodingOptions },
  codecs: readonly types.RtpCodecCapability[] = [],
): ProduceOptions {
  const wanted = options.codec ?? (track.kind === 'video' ? usualCodec : undefined);
  const codec = wanted === undefined ? undefined : findCodec(codecs, wanted);
  const usual: ProduceOptions =
    track.kind === 'audio'
      ? { codecOptions: { opusStereo: false, opusDtx: true, opusFec: true } }
      : {
          encodings:
            source === 'screensharing' ? screenEncodings : cameraEncodings(track.getSettings()),
          codecOptions: { videoGoogleStartBitrate: START_BITRATE_KBPS },
        };
  return {
    ...usual,
    ...(options.encodings ? { encodings: options.encodings } : {}),
    ...(options.codecOptions ? { codecOptions: options.codecOptions } : {}),
    // Where a room has not the codec, the room's first is taken.
    ...(codec ? { codec } : {}),
  };
}
