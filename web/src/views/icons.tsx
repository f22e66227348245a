import type { ComponentChildren } from 'preact';

/** Icons are decoration: the button that has one carries the words. */
const Icon = ({ children }: { children: ComponentChildren }) => (
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    {children}
  </svg>
);

const Slash = () => <path d="M4 3.5l16 17" />;

export const MicrophoneIcon = ({ off }: { off: boolean }) => (
  <Icon>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
    {off && <Slash />}
  </Icon>
);

export const CameraIcon = ({ off }: { off: boolean }) => (
  <Icon>
    <rect x="3" y="6.5" width="12" height="11" rx="2.5" />
    <path d="M15 11l6-3.5v9L15 13" />
    {off && <Slash />}
  </Icon>
);

export const ScreenIcon = () => (
  <Icon>
    <rect x="3" y="4.5" width="18" height="12" rx="2" />
    <path d="M8 20.5h8M12 13.500V8m-2.5 2.500L12 8l2.5 2.5" />
  </Icon>
);

export const ChatIcon = () => (
  <Icon>
    <path d="M4 5.500h16v11H10l-4 3.500v-3.500H4z" />
  </Icon>
);

export const ChartIcon = () => (
  <Icon>
    <path d="M4 20V4m0 16h16M8.5 16v-4m4.5 4V8m4.5 8v-6" />
  </Icon>
);

export const LeaveIcon = () => (
  <Icon>
    <path d="M3.5 14.500c4.5-4.7 12.5-4.7 17 0l-2.7 2-3.3-2v-2.300a9 9 0 0 0-5 0v2.300l-3.3 2z" />
  </Icon>
);

export const PauseIcon = ({ paused }: { paused: boolean }) => (
  <Icon>{paused ? <path d="M8 5.500l10 6.5-10 6.500z" /> : <path d="M8.5 6v12m7-12v12" />}</Icon>
);

export const SpeakerIcon = ({ off }: { off: boolean }) => (
  <Icon>
    <path d="M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM15.5 9a4.2 4.2 0 0 1 0 6m2.5-8.500a8 8 0 0 1 0 11" />
    {off && <Slash />}
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);

export const LinkIcon = () => (
  <Icon>
    <path d="M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.700l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.700l1-1" />
  </Icon>
);

export const Logo = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" />
    <path d="M9 10l14 6M9 22l14-6M9 10v12" />
    <circle cx="9" cy="10" r="3.6" />
    <circle cx="9" cy="22" r="3.6" />
    <circle cx="23" cy="16" r="4.4" />
  </svg>
);
