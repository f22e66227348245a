import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Meeting, MeetingState } from '../meeting.ts';
import type { Space } from './tile-layout.ts';

/** The meeting's state; the component draws itself again when it changes. */
export function useMeetingState(meeting: Meeting): MeetingState {
  const [state, setState] = useState(meeting.state);
  useEffect(() => {
    const update = () => setState(meeting.state);
    update();
    return meeting.subscribe(update);
  }, [meeting]);
  return state;
}

/** An element's inner size, kept up to date. */
export function useElementSize<T extends HTMLElement>(): [RefObject<T | null>, Space] {
  const ref = useRef<T>(null);
  const [size, setSize] = useState<Space>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () =>
      setSize((old) => {
        const { clientWidth: width, clientHeight: height } = element;
        return old.width === width && old.height === height ? old : { width, height };
      });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}

/** Moves the focus to an element when it appears, so that a change of view is read out and tabbing starts there. */
export function useFocusOnMount<T extends HTMLElement>(enabled = true): RefObject<T | null> {
  const ref = useRef<T>(null);
  useEffect(() => {
    if (enabled) ref.current?.focus({ preventScroll: true });
  }, []);
  return ref;
}

/** Calls `read` now and again a while after each answer, so that slow answers never pile up. Stops on unmount. */
export function usePolling(read: () => Promise<void>, pauseMs: number, key: unknown): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const loop = async () => {
      await read();
      if (!stopped) timer = setTimeout(() => void loop(), pauseMs);
    };
    void loop();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [key]);
}
