import { messageOf } from '../errors.ts';
import type { Logger } from './logger.ts';

/**
 * Runs a service until SIGTERM or SIGINT, then ends it in order. A second signal, or a stop that takes longer than
 * `timeoutMs`, ends the process at once with status 1. When the parent that was told to watch over us is gone (the IPC
 * channel closed), the service stops as well, so that no child outlives its supervisor.
 */
export function runUntilSignal(stop: () => Promise<void>, logger: Logger, timeoutMs: number): void {
  let stopping = false;
  const end = (why: string): void => {
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ why }, 'stopping');
    const timer = setTimeout(() => {
      logger.error({ timeoutMs }, 'did not stop in time');
      process.exit(1);
    }, timeoutMs);
    stop().then(
      () => {
        clearTimeout(timer);
        process.exit(0);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'stop failed');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end(signal));
  // Not a second signal: a parent that goes after its SIGTERM leaves the stop its time.
  const orphaned = (): void => {
    if (!stopping) end('parent is gone');
  };
  process.on('disconnect', orphaned);
  // It may have gone while the service started, before anybody listened.
  if (process.send && !process.connected) orphaned();
}

/** A failure that the process is to end with this status for. */
export class StatusError extends Error {
  readonly exitStatus: number;

  constructor(exitStatus: number, cause: unknown) {
    super(messageOf(cause), { cause });
    this.exitStatus = exitStatus;
  }
}

/** Starts a service's `main` and ends the process with a readable line when it can't start. */
export function runMain(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(error instanceof StatusError ? error.exitStatus : 1);
  });
}
