import { existsSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import path from 'node:path';
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

const openSslVersion = /OpenSSL \d+\.\d+\.\d+/;

/** What the set-up wrote down beside the binary, and the OpenSSL that is in it. */
function workerSource(): string {
  const binary = process.env['MEDIASOUP_WORKER_BIN'] ?? workerBin;
  const note = path.join(path.dirname(binary), 'source');
  const source = existsSync(note) ? readFileSync(note, 'utf8').trim() : 'one that was given';
  const version = openSslVersion.exec(readFileSync(binary, 'latin1'))?.[0];
  return version ? `${source}, ${version}` : source;
}

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
