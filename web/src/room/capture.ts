import type { Source } from './state.ts';

/** The camera's size that the three simulcast layers are made for. A smaller camera gives fewer layers. */
export const defaultCamera: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30, max: 30 },
};

const microphone: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

const SCREEN_FRAMES_PER_SECOND = 15;

const device: Record<Source, string> = {
  audio: 'microphone',
  video: 'camera',
  screensharing: 'screen',
};

/** Why a capture failed, in words for the one who wanted it. `undefined`: they chose not to, and know. */
export function captureProblem(source: Source, error: unknown): string | undefined {
  const name = error instanceof Error ? error.name : '';
  if (source === 'screensharing' && name === 'NotAllowedError') return undefined;
  switch (name) {
    case 'NotAllowedError':
      return `The browser does not allow this page to use your ${device[source]}.`;
    case 'NotFoundError':
      return `No ${device[source]} was found.`;
    case 'NotReadableError':
      return `Your ${device[source]} is in use by another program.`;
    default:
      return `Your ${device[source]} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function mediaDevices(): MediaDevices {
  // Browsers take the whole object away on a page that is neither https nor localhost.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) throw new Error('browsers allow it only over https or on localhost');
  return devices;
}

/**
 * Opens a camera, a microphone or a screen.
 *
 * @throws what the browser throws; {@link captureProblem} puts it into words
 */
export async function capture(
  source: Source,
  camera: MediaTrackConstraints,
): Promise<MediaStreamTrack> {
  const stream = await open(source, camera);
  const track = source === 'audio' ? stream.getAudioTracks()[0] : stream.getVideoTracks()[0];
  if (!track) throw new Error('the browser gave no track');
  if (source === 'screensharing') track.contentHint = 'detail';
  return track;
}

/**
 * Opens microphone and camera with one question to the person. Empty where that fails as a whole: each is then asked
 * for by itself, since a computer may have only one of them.
 */
export async function captureBoth(
  camera: MediaTrackConstraints,
): Promise<[Source, MediaStreamTrack][]> {
  try {
    const stream = await mediaDevices().getUserMedia({ audio: microphone, video: camera });
    return stream.getTracks().map((track) => [track.kind === 'audio' ? 'audio' : 'video', track]);
  } catch {
    return [];
  }
}

function open(source: Source, camera: MediaTrackConstraints): Promise<MediaStream> {
  const devices = mediaDevices();
  switch (source) {
    case 'audio':
      return devices.getUserMedia({ audio: microphone });
    case 'video':
      return devices.getUserMedia({ video: camera });
    case 'screensharing':
      return devices.getDisplayMedia({
        video: { frameRate: { max: SCREEN_FRAMES_PER_SECOND } },
        audio: false,
      });
  }
}
