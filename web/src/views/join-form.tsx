import { useEffect, useState } from 'preact/hooks';

import type { PageParams } from '../page-params.ts';
import { useFocusOnMount } from './hooks.ts';
import { Logo } from './icons.tsx';
import { StatusLine } from './status-line.tsx';

export interface JoinChoice {
  room: string;
  name: string;
  camera: boolean;
  microphone: boolean;
}

interface Props {
  params: PageParams;
  /** How the last stay ended, if there was one. */
  ending: { status: 'left' | 'closed'; reason: string } | undefined;
  hidden: boolean;
  onJoin: (choice: JoinChoice) => void;
}

const MAX_NAME_LENGTH = 64;
const MAX_ROOM_LENGTH = 63;

/** Asks for a name and a room. */
export function JoinForm({ params, ending, hidden, onJoin }: Props) {
  const [choice, setChoice] = useState<JoinChoice>({
    room: params.room,
    name: params.name,
    camera: params.camera,
    microphone: params.microphone,
  });
  const set = (change: Partial<JoinChoice>) => setChoice((old) => ({ ...old, ...change }));
  const heading = useFocusOnMount<HTMLHeadingElement>(ending !== undefined);

  useEffect(() => {
    if (!hidden) document.title = 'Join a room – kube-sfu';
  }, [hidden]);

  return (
    <main class="join" hidden={hidden}>
      <div class="join-card">
        <p class="brand">
          <Logo /> kube-sfu
        </p>
        <h1 ref={heading} tabIndex={-1}>
          {ending ? 'You are out of the room' : 'Join a room'}
        </h1>
        <StatusLine status={ending?.status ?? 'idle'} reason={ending?.reason ?? ''} />
        <form
          data-testid="join-form"
          onSubmit={(event) => {
            event.preventDefault();
            onJoin({ ...choice, room: choice.room.trim(), name: choice.name.trim() });
          }}
        >
          <label class="field">
            <span>Your name</span>
            <input
              data-testid="name-input"
              name="name"
              autoComplete="name"
              required
              pattern=".*\S.*"
              title="A name that the others will see"
              maxLength={MAX_NAME_LENGTH}
              value={choice.name}
              onInput={(event) => set({ name: event.currentTarget.value })}
            />
          </label>
          <label class="field">
            <span>Room</span>
            <input
              data-testid="room-input"
              name="room"
              autoComplete="off"
              autoCapitalize="off"
              spellcheck={false}
              required
              pattern=".*\S.*"
              title="The room's name; whoever gives the same name is in the same room"
              maxLength={MAX_ROOM_LENGTH}
              value={choice.room}
              onInput={(event) => set({ room: event.currentTarget.value })}
            />
          </label>
          <fieldset class="checks">
            <legend>Start with</legend>
            <label>
              <input
                type="checkbox"
                checked={choice.camera}
                onChange={(event) => set({ camera: event.currentTarget.checked })}
              />
              Camera
            </label>
            <label>
              <input
                type="checkbox"
                checked={choice.microphone}
                onChange={(event) => set({ microphone: event.currentTarget.checked })}
              />
              Microphone
            </label>
          </fieldset>
          <button class="primary" type="submit" data-testid="join-button">
            Join
          </button>
        </form>
        <p class="aside">
          <a href="#/console">Open the platform console</a>
        </p>
      </div>
    </main>
  );
}
