import { createServer } from 'node:net';

import { ApiError } from '../../../common/errors.ts';

/** Whether nobody listens on the port. */
const isFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });

/** Hands out free TCP ports of a range, each to one holder at a time. */
export class PortPool {
  readonly #range: { start: number; end: number };
  readonly #host: string;
  readonly #held = new Set<number>();

  constructor(host: string, range: { start: number; end: number }) {
    this.#host = host;
    this.#range = range;
  }

  /** @throws {ApiError} `capacity_exhausted` */
  async acquire(): Promise<number> {
    for (let port = this.#range.start; port <= this.#range.end; port++) {
      if (this.#held.has(port)) continue;
      this.#held.add(port);
      if (await isFree(this.#host, port)) return port;
      this.#held.delete(port);
    }
    const { start, end } = this.#range;
    throw new ApiError(
      'capacity_exhausted',
      `no free port from ${start} to ${end} for a node's API`,
    );
  }

  release(port: number): void {
    this.#held.delete(port);
  }
}
