import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../scripts/postgres/embedded.ts';
import { until } from '../../testing/until.ts';

/** What a client was told is committed is there after a crash of the server, though not after one of the machine. */
const settings = { synchronous_commit: 'on', log_line_prefix: '%m [%p] ', max_wal_size: '128MB' };
/** How long a server may take until it is back: what an earlier one left has to end first. */
const restart = { timeoutMs: 60_000, intervalMs: 500 };

export interface LocalPostgresOptions {
  dataDir: string;
  port: number;
  log: (line: string) => void;
}

/** A Postgres that is killed and started again on the same port and data. */
export class LocalPostgres {
  readonly #options: LocalPostgresOptions;
  #server: EmbeddedPostgres;

  private constructor(options: LocalPostgresOptions, server: EmbeddedPostgres) {
    this.#options = options;
    this.#server = server;
  }

  static async start(options: LocalPostgresOptions): Promise<LocalPostgres> {
    return new LocalPostgres(options, await startEmbeddedPostgres({ ...options, settings }));
  }

  get url(): string {
    return this.#server.url;
  }

  /** Of the postmaster; rejects while there is none. */
  async pid(): Promise<number> {
    const file = path.join(this.#server.dataDir, 'postmaster.pid');
    return Number((await readFile(file, 'utf8')).split('\n')[0]);
  }

  async away(signal: 'SIGKILL' | 'SIGTERM', ms: number): Promise<void> {
    if (signal === 'SIGTERM') await this.#server.stop();
    else process.kill(await this.pid(), 'SIGKILL');
    await sleep(ms);
    await this.startAgain();
  }

  /** Starts it where it has ended. */
  async startAgain(): Promise<void> {
    // The one that was killed has to be seen as gone first.
    await this.#server.stop();
    this.#server = await until(
      'Postgres to start again',
      () => startEmbeddedPostgres({ ...this.#options, settings }),
      restart,
    );
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}
