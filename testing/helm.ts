import path from 'node:path';

import { parseAllDocuments } from 'yaml';

import { runCommand } from './command.ts';

export const chart = path.resolve(import.meta.dirname, '../charts/kube-sfu');

/** A Kubernetes object, as far as tests look at it. */
export interface Rendered {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  spec?: unknown;
  rules?: unknown;
  automountServiceAccountToken?: boolean;
}

/** Values of the chart: `{ 'ingress.enabled': true }`, and whole objects at a path. */
export type Values = Record<string, unknown>;

export interface HelmOptions {
  /** Of the cluster; without one Helm sees none. */
  kubeconfig?: string;
  /** Where Helm keeps its own files. */
  home: string;
  values?: Values;
  /** Files with values; those of `values` are laid over them. */
  files?: string[];
  namespace?: string;
  /** Renders for an upgrade in place of an installation. */
  upgrade?: boolean;
}

function binary(): string {
  const command = process.env['HELM_BIN'];
  if (!command)
    throw new Error(
      'HELM_BIN is not set: run scripts/setup.sh helm, then read .run/env (make test does both)',
    );
  return command;
}

/**
 * Runs the real Helm and returns what it printed.
 *
 * @throws {CommandError} with its message when it fails
 */
export function helm(args: string[], options: HelmOptions): Promise<string> {
  const {
    kubeconfig = '/dev/null',
    home,
    values = {},
    namespace = 'kube-sfu-system',
    files = [],
  } = options;
  const set = Object.entries(values).flatMap(([key, value]) => [
    '--set-json',
    `${key}=${JSON.stringify(value)}`,
  ]);
  const env = { HOME: home, KUBECONFIG: kubeconfig, PATH: process.env['PATH'] };
  return runCommand(
    binary(),
    [...args, '--namespace', namespace, ...files.flatMap((file) => ['--values', file]), ...set],
    {
      env,
      timeoutMs: 120_000,
    },
  );
}

export const parseRendered = (text: string): Rendered[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);

/** What `helm template` makes of the values. Hooks are among it. */
export async function template(options: HelmOptions): Promise<Rendered[]> {
  // What is there already, such as a namespace, may be the release's.
  const live = options.kubeconfig ? ['--dry-run=server', '--take-ownership'] : [];
  const kind = options.upgrade ? ['--is-upgrade'] : [];
  return parseRendered(await helm(['template', 'kube-sfu', chart, ...live, ...kind], options));
}
