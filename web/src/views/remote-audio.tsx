import { useEffect, useRef, useState } from 'preact/hooks';

import type { SubscriptionState } from '../../../client/src/index.ts';

function Voice({ stream, onBlocked }: { stream: MediaStream; onBlocked: () => void }) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (!audio) return;
    audio.srcObject = stream;
    audio.play().catch((error: unknown) => {
      if (error instanceof Error && error.name === 'NotAllowedError') onBlocked();
    });
    return () => {
      audio.srcObject = null;
    };
  }, [stream]);
  return <audio ref={element} autoPlay />;
}

/** Plays everybody's voice. Browsers keep a page silent until it was clicked or uses the microphone: then it asks. */
export function RemoteAudio({ subscriptions }: { subscriptions: readonly SubscriptionState[] }) {
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
      {subscriptions.map(
        ({ id, kind, stream }) =>
          kind === 'audio' && <Voice key={id} stream={stream} onBlocked={() => setBlocked(true)} />,
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
