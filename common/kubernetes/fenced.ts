import type { Dispatcher } from 'undici';

type Handler = Dispatcher.DispatchHandler;

/** Hands everything on, but asks first whether the request may still go out. */
class FencedHandler implements Handler {
  readonly #fence: () => void;
  readonly #next: Handler;

  constructor(fence: () => void, next: Handler) {
    this.#fence = fence;
    this.#next = next;
  }

  onRequestStart(...args: Parameters<NonNullable<Handler['onRequestStart']>>): void {
    this.#fence();
    this.#next.onRequestStart?.(...args);
  }

  onRequestUpgrade(...args: Parameters<NonNullable<Handler['onRequestUpgrade']>>): void {
    this.#next.onRequestUpgrade?.(...args);
  }

  onResponseStart(...args: Parameters<NonNullable<Handler['onResponseStart']>>): void {
    this.#next.onResponseStart?.(...args);
  }

  onResponseData(...args: Parameters<NonNullable<Handler['onResponseData']>>): void {
    this.#next.onResponseData?.(...args);
  }

  onResponseEnd(...args: Parameters<NonNullable<Handler['onResponseEnd']>>): void {
    this.#next.onResponseEnd?.(...args);
  }

  onResponseError(...args: Parameters<NonNullable<Handler['onResponseError']>>): void {
    this.#next.onResponseError?.(...args);
  }
}

/**
 * A dispatcher that asks `fence` once more in the very turn in which a request is written to its connection: between the call
 * and that turn a connection may have had to be made, and the process may have been stopped for any time.
 */
export const fenced = (dispatcher: Dispatcher, fence: () => void): Dispatcher =>
  dispatcher.compose(
    (dispatch) => (options, handler) => dispatch(options, new FencedHandler(fence, handler)),
  );
