import { useEffect, useRef, useState } from 'preact/hooks';

import type { ConsumerState } from '../room/state.ts';

function Voice({ track, onBlocked }: { track: MediaStreamTrack; onBlocked: () => void }) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (!audio) return;
    audio.srcObject = new MediaStream([track]);
    audio.play().catch((error: unknown) => {
      if (error instanceof Error && error.name === 'NotAllowedError') onBlocked();
    });
    return () => {
      audio.srcObject = null;
    };
  }, [track]);
  return <audio ref={element} autoPlay />;
}

/** Plays everybody's voice. Browsers keep a page silent until it was clicked or uses the microphone: then it asks. */
export function RemoteAudio({ consumers }: { consumers: readonly ConsumerState[] }) {
  const [blocked, setBlocked] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const unblock = () => {
    setBlocked(false);
    for (const audio of box.current?.querySelectorAll('audio') ?? []) {
      audio.play().catch(() => setBlocked(true));
    }
  };
  return (
    <div ref={box}>
      {consumers.map(
        ({ id, kind, track }) =>
          kind === 'audio' &&
          track && <Voice key={id} track={track} onBlocked={() => setBlocked(true)} />,
      )}
      {blocked && (
        <div class="unblock">
          <button type="button" class="primary" onClick={unblock}>
            Turn the sound on
          </button>
        </div>
      )}
    </div>
  );
}
