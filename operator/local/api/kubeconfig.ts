import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { stringify } from 'yaml';

export interface KubeconfigOptions {
  url: string;
  token: string;
  namespace: string;
}

const name = 'kube-sfu-local';

/** Writes a kubeconfig that only its owner can read, in one step, so that nobody reads half of it. */
export async function writeKubeconfig(file: string, options: KubeconfigOptions): Promise<void> {
  const { url, token, namespace } = options;
  const text = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    // Clients refuse plain HTTP unless told that there is no certificate to verify; it never leaves loopback.
    clusters: [{ name, cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
  });
  await mkdir(path.dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode: 0o600 });
  await chmod(draft, 0o600);
  await rename(draft, file);
}
