import type { types } from 'mediasoup-client';

import type { Source } from './state.ts';

/** Three simulcast layers of the camera, lowest first, each with three temporal layers. Bit rates in bit/s. */
const cameraEncodings: types.RtpEncodingParameters[] = [
  { scaleResolutionDownBy: 4, maxBitrate: 150_000, scalabilityMode: 'L1T3' },
  { scaleResolutionDownBy: 2, maxBitrate: 500_000, scalabilityMode: 'L1T3' },
  { scaleResolutionDownBy: 1, maxBitrate: 1_500_000, scalabilityMode: 'L1T3' },
];

/** One layer: text on a shared screen is of no use at a quarter of its size. */
const screenEncodings: types.RtpEncodingParameters[] = [{ maxBitrate: 2_500_000 }];

/** Where the congestion control starts, in kbit/s: the browser's own start of 300 takes seconds to reach all layers. */
const START_BITRATE_KBPS = 1000;

/** How a track of this source is published. */
export function encodingOptions(
  source: Source,
  codecs: readonly types.RtpCodecCapability[] = [],
): Pick<types.ProducerOptions, 'encodings' | 'codec' | 'codecOptions'> {
  if (source === 'audio')
    return { codecOptions: { opusStereo: false, opusDtx: true, opusFec: true } };
  const codec = codecs.find(({ mimeType }) => mimeType.toLowerCase() === 'video/vp8');
  return {
    encodings: source === 'video' ? cameraEncodings : screenEncodings,
    codecOptions: { videoGoogleStartBitrate: START_BITRATE_KBPS },
    // Where a room has no VP8, the room's first codec is taken.
    ...(codec ? { codec } : {}),
  };
}
