/** What the SDK can open: the microphone, the camera, and a screen. */
export type CaptureSource = 'audio' | 'video' | 'screensharing';

export const isCaptureSource = (value: string): value is CaptureSource => value in device;

/** The camera's size that the three simulcast layers are made for. A smaller camera gives fewer layers. */
const defaultCamera: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30, max: 30 },
};

const defaultMicrophone: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

const SCREEN_FRAMES_PER_SECOND = 15;

const device: Record<CaptureSource, string> = {
  audio: 'microphone',
  video: 'camera',
  screensharing: 'screen',
};

/** Why a capture failed, in words for the one who wanted it. `undefined`: they chose not to, and know. */
export function captureProblem(source: CaptureSource, error: unknown): string | undefined {
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

export function mediaDevices(): MediaDevices {
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
  source: CaptureSource,
  constraints: MediaTrackConstraints = {},
): Promise<MediaStreamTrack> {
  const stream = await open(source, constraints);
  const track = source === 'audio' ? stream.getAudioTracks()[0] : stream.getVideoTracks()[0];
  if (!track) throw new Error('the browser gave no track');
  if (source === 'screensharing') track.contentHint = 'detail';
  return track;
}

/** Opens microphone and camera with one question to the person. */
export async function captureBoth(
  microphone: MediaTrackConstraints = {},
  camera: MediaTrackConstraints = {},
): Promise<{ audio: MediaStreamTrack; video: MediaStreamTrack }> {
  const stream = await mediaDevices().getUserMedia({
    audio: { ...defaultMicrophone, ...microphone },
    video: { ...defaultCamera, ...camera },
  });
  const [audio, video] = [stream.getAudioTracks()[0], stream.getVideoTracks()[0]];
  if (!audio || !video) throw new Error('the browser gave no track');
  return { audio, video };
}

function open(source: CaptureSource, constraints: MediaTrackConstraints): Promise<MediaStream> {
  const devices = mediaDevices();
  switch (source) {
    case 'audio':
      return devices.getUserMedia({ audio: { ...defaultMicrophone, ...constraints } });
    case 'video':
      return devices.getUserMedia({ video: { ...defaultCamera, ...constraints } });
    case 'screensharing':
      return devices.getDisplayMedia({
        video: { frameRate: { max: SCREEN_FRAMES_PER_SECOND }, ...constraints },
        audio: false,
      });
  }
}
