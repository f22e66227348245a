import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Who may do everything. */
export const admin = 'admin';

interface User {
  token: string;
  groups: string[];
}

export interface Endpoint {
  server: string;
  /** The server's certificate; without it the connection is plain. */
  ca?: string;
}

/** Who the API server knows, by tokens that are made anew for each control plane. */
export class Users {
  readonly #dir: string;
  readonly #users: Map<string, User>;

  /** @param groups of each user besides the admin, by name */
  constructor(dir: string, groups: Record<string, string[]>) {
    this.#dir = dir;
    const all = { ...groups, [admin]: ['system:masters'] };
    this.#users = new Map(
      Object.entries(all).map(([name, groupsOfUser]) => [
        name,
        { token: randomBytes(16).toString('hex'), groups: groupsOfUser },
      ]),
    );
  }

  get names(): string[] {
    return [...this.#users.keys()];
  }

  token(name: string): string {
    return this.#require(name).token;
  }

  /** For `--token-auth-file`. Returns its path. */
  async writeTokens(): Promise<string> {
    const lines = [...this.#users].map(
      ([name, { token, groups }]) => `${token},"${name}","${name}","${groups.join(',')}"\n`,
    );
    const file = path.join(this.#dir, 'tokens.csv');
    await writeFile(file, lines.join(''), { mode: 0o600 });
    return file;
  }

  /** Writes what the user connects with, and returns the path. */
  async writeKubeconfig(name: string, { server, ca }: Endpoint, suffix = ''): Promise<string> {
    const { token } = this.#require(name);
    const authority = ca
      ? { 'certificate-authority-data': Buffer.from(ca).toString('base64') }
      : {};
    const file = this.kubeconfig(name, suffix);
    await writeFile(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'test',
        clusters: [{ name: 'test', cluster: { server, ...authority } }],
        users: [{ name, user: { token } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
      }),
      { mode: 0o600 },
    );
    return file;
  }

  kubeconfig(name: string, suffix = ''): string {
    this.#require(name);
    return path.join(this.#dir, `${name.replaceAll(/[^\w-]/g, '-')}${suffix}.kubeconfig`);
  }

  #require(name: string): User {
    const user = this.#users.get(name);
    if (!user) throw new Error(`the control plane was started without a user ${name}`);
    return user;
  }
}
