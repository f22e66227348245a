import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { DatabaseConfig } from '../../common/service/config.ts';
import type { OperatorConfig } from '../config.ts';
import type { Examined } from './examine.ts';
import type { ResourcesView } from './snapshot.ts';

/** What the process is given. */
export interface ChildInput {
  config: OperatorConfig;
  database: DatabaseConfig;
  resources: ResourcesView;
}

const childFile = fileURLToPath(new URL('./child.ts', import.meta.url));

/**
 * Looks and compares in a process of its own, for one look: all rows and objects of a large platform at once are more than
 * an operator has memory for, and comparing them would keep it from renewing its Lease.
 *
 * @param signal ends it
 * @throws Error when it took longer than `audit.timeoutMs` or needed more memory than `audit.maxHeapMiB`
 */
export async function examineApart(input: ChildInput, signal: AbortSignal): Promise<Examined> {
  const { maxHeapMiB, timeoutMs } = input.config.audit;
  const child = fork(childFile, {
    // Not what the operator itself is limited to.
    execArgv: [`--max-old-space-size=${maxHeapMiB}`],
    // JSON has no NaN and Infinity, and takes longer.
    serialization: 'advanced',
    killSignal: 'SIGKILL',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  child.send(input, () => undefined);
  try {
    return await answerOf(child);
  } finally {
    child.kill('SIGKILL');
  }
}

/** Its message, or why there is none. */
function answerOf(child: ChildProcess): Promise<Examined> {
  const { promise, resolve, reject } = Promise.withResolvers<Examined>();
  child.once('message', (examined) => resolve(examined as Examined));
  child.once('error', ({ name, message }) =>
    reject(new Error(name === 'AbortError' ? 'it was not done in time: audit.timeoutMs' : message)),
  );
  child.once('exit', (code, by) =>
    reject(
      new Error(
        `its process ended by ${by ?? code}; it has as much memory as audit.maxHeapMiB says`,
      ),
    ),
  );
  return promise;
}
