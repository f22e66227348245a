import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.resolve(import.meta.dirname, '..');
const makefile = await readFile(path.join(root, 'Makefile'), 'utf8');
const { stdout: help } = await promisify(execFile)('make', ['--no-print-directory', 'help'], {
  cwd: root,
});

/** The first words of the lines of help. */
const explained = [...help.matchAll(/^ {2}(\S+) {2,}\S/gm)].map((match) => match[1]);

describe('make help', () => {
  it('explains every target', () => {
    const targets = /^\.PHONY: (.*)$/m.exec(makefile)?.[1]?.split(' ') ?? [];
    expect(targets).toEqual(expect.arrayContaining(['demo', 'cluster', 'cluster-down', 'e2e']));
    for (const target of targets) expect(explained).toContain(target);
  });

  it.each([
    'TLS=1',
    'DEMO_PAGE_PORT',
    'DEMO_SIGNALING_PORT',
    'DEMO_CONSUMERS',
    'DEMO_REPLICAS',
    'INSTALL=0',
    'DATABASE_URL',
    'MEDIASOUP_WORKER_BIN',
    'KUBEBUILDER_ASSETS',
    'CHROMIUM_BIN',
    'KUBE_SFU_CACHE',
  ])('explains the variable %s', (name) => {
    expect(explained).toContain(name);
  });
});
