import type { Room } from './room.ts';
import type { RoomState } from './state.ts';

/** React's hook of this name, or that of `preact/compat`. */
type UseSyncExternalStore = <T>(
  subscribe: (listener: () => void) => () => void,
  getSnapshot: () => T,
  getServerSnapshot: () => T,
) => T;

/**
 * Makes the hook `useRoom`, with which a component draws itself again when a room changes.
 *
 * @param useSyncExternalStore - React's: the package brings no copy of React and asks for no version of it
 */
export const createUseRoom =
  (useSyncExternalStore: UseSyncExternalStore) =>
  (room: Room): RoomState => {
    const getState = () => room.state;
    return useSyncExternalStore(room.subscribe, getState, getState);
  };
