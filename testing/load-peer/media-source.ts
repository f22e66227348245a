import { readKeyFrameRequests, type RtpStream } from './rtp-stream.ts';
import type { SecureTransport } from './secure-transport.ts';

/** Sends the streams of one peer at a steady rate with one timer. */
export class MediaSource {
  readonly #transport: SecureTransport;
  readonly #streams: RtpStream[] = [];
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(transport: SecureTransport, packetsPerSecond: number) {
    this.#transport = transport;
    this.#intervalMs = 1000 / packetsPerSecond;
    transport.onFeedback = (packet) =>
      readKeyFrameRequests(packet, (ssrc) =>
        this.#streams.find((stream) => stream.ssrc === ssrc)?.requestKeyFrame(),
      );
  }

  get packetsSent(): number {
    return this.#streams.reduce((sum, stream) => sum + stream.packetsSent, 0);
  }

  add(stream: RtpStream): void {
    this.#streams.push(stream);
    stream.send(this.#transport);
    this.#timer ??= setInterval(() => {
      for (const each of this.#streams) each.send(this.#transport);
    }, this.#intervalMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#transport.close();
  }
}
