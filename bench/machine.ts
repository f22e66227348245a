import { cpus, release, totalmem, type } from 'node:os';
import { version as mediasoupVersion, workerBin } from 'mediasoup';

/** What the numbers were measured on. */
export interface Machine {
  cores: number;
  model: string;
  memoryGiB: number;
  kernel: string;
  node: string;
  mediasoup: string;
  /** Where the worker's binary came from. */
  worker: string;
}

/** The package's own binary is the official one; any other was built here from the package's source. */
const workerSource = (): string =>
  process.env['MEDIASOUP_WORKER_BIN']
    ? `the binary at ${workerBin.split('/').at(-2) ?? ''}/${workerBin.split('/').at(-1) ?? ''}, named by MEDIASOUP_WORKER_BIN`
    : 'the binary of the npm package';

export function describeMachine(): Machine {
  return {
    cores: cpus().length,
    model: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    mediasoup: mediasoupVersion,
    worker: workerSource(),
  };
}
