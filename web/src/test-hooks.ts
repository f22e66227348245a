import type { Meeting } from './meeting.ts';
import { takeSnapshot, type RoomSnapshot } from './snapshot.ts';

/** What browser tests and curious people at the developer console read: numbers only, nothing can be changed by it. */
interface TestHooks {
  snapshot(): Promise<RoomSnapshot>;
}

declare global {
  interface Window {
    __kubeSfu?: TestHooks;
  }
}

/** Makes the newest meeting's snapshot available as `window.__kubeSfu.snapshot()`. */
export function exposeTestHooks(meeting: Meeting): void {
  window.__kubeSfu = { snapshot: () => takeSnapshot(meeting) };
}
