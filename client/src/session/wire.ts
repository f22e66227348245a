/**
 * What goes to the server with a producer besides what mediasoup-client makes of it. It travels in mediasoup-client's
 * `appData`, the one thing that it hands through.
 */
export interface Wire {
  appData: Record<string, unknown>;
  paused?: boolean;
  /** The producer that the new one takes the place of. */
  replaces?: string;
}
