import type { RoomClient } from './room/room-client.ts';
import { takeSnapshot, type RoomSnapshot } from './room/snapshot.ts';

/** What browser tests and curious people at the developer console read: numbers only, nothing can be changed by it. */
interface TestHooks {
  snapshot(): Promise<RoomSnapshot>;
}

declare global {
  interface Window {
    __kubeSfu?: TestHooks;
  }
}

/** Makes the newest client's snapshot available as `window.__kubeSfu.snapshot()`. */
export function exposeTestHooks(client: RoomClient): void {
  window.__kubeSfu = { snapshot: () => takeSnapshot(client) };
}
