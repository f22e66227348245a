import { useEffect, useRef } from 'preact/hooks';

import type { Subscription } from '../../../client/src/index.ts';

interface Props {
  /** Another's, or this person's own track. */
  shown: Subscription | MediaStreamTrack;
  label: string;
  mirrored: boolean;
  /** Called with the size of what is decoded, whenever it changes. */
  onSize: (size: string) => void;
}

/** A picture on the screen. Sound is played apart, so the picture may always start by itself. */
export function VideoPicture({ shown, label, mirrored, onSize }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  const play = () => {
    // A browser may pause a picture that was moved in the document; one that is gone needs no playing.
    element.current?.play().catch(() => undefined);
  };
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    const detach = 'attach' in shown ? shown.attach(video) : showTrack(video, shown);
    play();
    return detach;
  }, [shown]);
  return (
    <video
      ref={element}
      class={mirrored ? 'mirrored' : ''}
      aria-label={label}
      autoPlay
      playsInline
      muted
      onPause={play}
      onResize={({ currentTarget: { videoWidth, videoHeight } }) =>
        onSize(videoWidth > 0 ? `${videoWidth}×${videoHeight}` : '')
      }
    />
  );
}

function showTrack(video: HTMLVideoElement, track: MediaStreamTrack): () => void {
  video.srcObject = new MediaStream([track]);
  return () => {
    video.srcObject = null;
  };
}
