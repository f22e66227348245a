import { useEffect, useRef } from 'preact/hooks';

interface Props {
  track: MediaStreamTrack;
  label: string;
  mirrored: boolean;
  /** Called with the size of what is decoded, whenever it changes. */
  onSize: (size: string) => void;
}

/** A track on the screen. Sound is played apart, so the picture may always start by itself. */
export function VideoPicture({ track, label, mirrored, onSize }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  const play = () => {
    // A browser may pause a picture that was moved in the document; one that is gone needs no playing.
    element.current?.play().catch(() => undefined);
  };
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    video.srcObject = new MediaStream([track]);
    play();
    return () => {
      video.srcObject = null;
    };
  }, [track]);
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
