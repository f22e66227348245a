import { readFileSync } from 'node:fs';
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

/** The official binary has its OpenSSL in it; one that was built here uses the system's. */
const workerSource = (): string =>
  readFileSync(process.env['MEDIASOUP_WORKER_BIN'] ?? workerBin).includes('libssl.so')
    ? 'built from source, with the system’s libraries'
    : 'the official binary';

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
