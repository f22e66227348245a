import type { ComponentChildren } from 'preact';

import type { CaptureSource } from '../../../client/src/index.ts';
import type { Meeting, MeetingState } from '../meeting.ts';
import {
  CameraIcon,
  ChartIcon,
  ChatIcon,
  LeaveIcon,
  MicrophoneIcon,
  ScreenIcon,
} from './icons.tsx';

export type Panel = 'chat' | 'stats';

/** The id of a panel's button, which gets the focus back when the panel closes. */
export const panelButtonId = (panel: Panel): string => `${panel}-toggle`;

interface ButtonProps {
  testId: string;
  label: string;
  /** The word below the icon, where there is room for one. */
  short: string;
  className?: string;
  expanded?: boolean;
  onClick: () => void;
  children: ComponentChildren;
}

const ToolButton = ({ testId, label, short, className = '', ...rest }: ButtonProps) => (
  <button
    type="button"
    class={`tool ${className}`}
    id={testId}
    data-testid={testId}
    aria-label={label}
    title={label}
    onClick={rest.onClick}
    {...(rest.expanded === undefined ? {} : { 'aria-expanded': rest.expanded })}
  >
    {rest.children}
    <span class="short" aria-hidden="true">
      {short}
    </span>
  </button>
);

interface Props {
  meeting: Meeting;
  state: MeetingState;
  panel: Panel | undefined;
  /** Chat messages that arrived while the chat was not shown. */
  unread: number;
  onPanel: (panel: Panel) => void;
}

export function Toolbar({ meeting, state, panel, unread, onPanel }: Props) {
  const isOn = (source: CaptureSource) =>
    state.publications.some((one) => one.source === source && !one.paused);
  const toggle = (source: CaptureSource) => void meeting.setEnabled(source, !isOn(source));
  const [microphone, camera, screen] = [isOn('audio'), isOn('video'), isOn('screensharing')];
  const onOff = (on: boolean) => (on ? 'on' : 'off');
  return (
    <section class="toolbar" aria-label="Controls">
      <ToolButton
        testId="mute-button"
        label={microphone ? 'Mute your microphone' : 'Unmute your microphone'}
        short={microphone ? 'Mute' : 'Unmute'}
        className={onOff(microphone)}
        onClick={() => toggle('audio')}
      >
        <MicrophoneIcon off={!microphone} />
      </ToolButton>
      <ToolButton
        testId="camera-button"
        label={camera ? 'Turn your camera off' : 'Turn your camera on'}
        short="Camera"
        className={onOff(camera)}
        onClick={() => toggle('video')}
      >
        <CameraIcon off={!camera} />
      </ToolButton>
      <ToolButton
        testId="screen-button"
        label={screen ? 'Stop sharing your screen' : 'Share your screen'}
        short={screen ? 'Stop' : 'Share'}
        className={screen ? 'active' : ''}
        onClick={() => toggle('screensharing')}
      >
        <ScreenIcon />
      </ToolButton>
      <ToolButton
        testId={panelButtonId('chat')}
        label={unread > 0 ? `Chat, ${unread} unread` : 'Chat'}
        short="Chat"
        className={panel === 'chat' ? 'active' : ''}
        expanded={panel === 'chat'}
        onClick={() => onPanel('chat')}
      >
        <ChatIcon />
        {unread > 0 && (
          <span class="badge" aria-hidden="true">
            {unread}
          </span>
        )}
      </ToolButton>
      <ToolButton
        testId={panelButtonId('stats')}
        label="Stats"
        short="Stats"
        className={panel === 'stats' ? 'active' : ''}
        expanded={panel === 'stats'}
        onClick={() => onPanel('stats')}
      >
        <ChartIcon />
      </ToolButton>
      <ToolButton
        testId="leave-button"
        label="Leave the room"
        short="Leave"
        className="leave"
        onClick={() => meeting.room.close()}
      >
        <LeaveIcon />
      </ToolButton>
    </section>
  );
}
