import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Agent, request, type Dispatcher } from 'undici';

import { KubernetesClient, type KubernetesClientConfig } from '../../common/kubernetes/client.ts';
import { selfSignedCertificate } from '../../demo/tls.ts';
import { freePorts } from '../../demo/ports.ts';
import { Cleanup } from '../cleanup.ts';
import { installCrds } from './crds.ts';
import { runKubectl, type KubectlOptions } from './kubectl.ts';
import { Program, ProgramFolder } from './program.ts';
import { admin, Users } from './users.ts';

export interface ControlPlaneOptions {
  /** Users besides the admin, with their groups. What they may do is for RBAC objects to say. */
  users?: Record<string, string[]>;
  /** More arguments for kube-apiserver. */
  serverArgs?: string[];
  /** An audit policy; what it asks for is written to {@link ControlPlane.auditLog}. */
  auditPolicy?: object;
  /** Whether the resources of `crds/` are there from the start; so they are by default. */
  crds?: boolean;
}

/** How long the API server may take to start, in milliseconds. On a busy machine it takes many times longer than alone. */
const startTimeoutMs = 60_000;
/** How often ports are chosen anew when another process was faster. */
const startAttempts = 3;

/** What a test's own calls are made with. */
const clientConfig: Omit<KubernetesClientConfig, 'kubeconfig'> = {
  requestTimeoutMs: 30_000,
  watchTimeoutMs: 60_000,
  watchStallMs: 10_000,
  listPageSize: 500,
};

/** The folder with etcd, kube-apiserver and kubectl. */
function binaries(): string {
  const dir = process.env['KUBEBUILDER_ASSETS'];
  if (!dir)
    throw new Error(
      'KUBEBUILDER_ASSETS is not set: run scripts/setup.sh kubernetes, then read .run/env (make test does both)',
    );
  return dir;
}

interface Parts {
  folder: ProgramFolder;
  users: Users;
  ports: { etcd: number; server: number };
  certificate: { certFile: string; keyFile: string };
  ca: string;
  serverArgs: string[];
}

/**
 * A real Kubernetes API server with a real etcd, without controllers, scheduler or kubelets. It ends with this process at the
 * latest.
 */
class ControlPlane {
  readonly #parts: Parts;
  readonly #clients = new Cleanup();
  #etcd: Program;
  #server: Program | undefined;
  #admin: KubernetesClient | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#etcd = this.#startEtcd();
  }

  get url(): string {
    return `https://127.0.0.1:${this.#parts.ports.server}`;
  }

  /** The server's certificate, which is its own authority. */
  get ca(): string {
    return this.#parts.ca;
  }

  /** A folder of this control plane alone, which goes with it. */
  get dir(): string {
    return this.#parts.folder.dir;
  }

  get auditLog(): string {
    return path.join(this.dir, 'audit.log');
  }

  get pids(): { etcd: number; server: number } {
    return { etcd: this.#etcd.pid, server: this.#server?.pid ?? 0 };
  }

  /** The path of the user's kubeconfig. */
  kubeconfig(user = admin): string {
    return this.#parts.users.kubeconfig(user);
  }

  token(user = admin): string {
    return this.#parts.users.token(user);
  }

  /** A kubeconfig for plain HTTP at another address, such as that of a proxy. Returns its path. */
  kubeconfigAt(server: string, user = admin): Promise<string> {
    return this.#parts.users.writeKubeconfig(user, { server }, `-${new URL(server).port}`);
  }

  /** The admin's client. */
  get client(): KubernetesClient {
    return (this.#admin ??= this.clientOf(admin));
  }

  /** A client that is closed with the control plane. */
  clientOf(user: string): KubernetesClient {
    const config = { ...clientConfig, kubeconfig: this.kubeconfig(user) };
    const client = new KubernetesClient({ config });
    this.#clients.add(() => client.close());
    return client;
  }

  /**
   * Runs the real kubectl and returns what it printed.
   *
   * @throws Error with its message when it fails
   */
  kubectl(args: string[], options: KubectlOptions & { user?: string } = {}): Promise<string> {
    const { user = admin, ...others } = options;
    const setup = {
      command: path.join(binaries(), 'kubectl'),
      kubeconfig: this.kubeconfig(user),
      home: this.dir,
    };
    return runKubectl(setup, args, others);
  }

  async createNamespace(name: string, labels: Record<string, string> = {}): Promise<void> {
    await this.client.call({
      method: 'POST',
      path: '/api/v1/namespaces',
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
    });
  }

  /** Freezes the API server: connections stay open and nothing is answered. */
  pause(): void {
    this.#server?.signal('SIGSTOP');
  }

  resume(): void {
    this.#server?.signal('SIGCONT');
  }

  /** Crashes the API server; etcd keeps what it was told. */
  async stopServer(): Promise<void> {
    await this.#server?.kill();
    this.#server = undefined;
  }

  /** Starts the API server at its port, and waits until it is ready. */
  async startServer(): Promise<void> {
    const server = this.#startServerProgram();
    this.#server = server;
    const agent = new Agent({ connect: { ca: this.ca } });
    try {
      await server.ready(async () => {
        this.#etcd.assertRuns();
        return this.#isReady(agent);
      }, startTimeoutMs);
    } finally {
      await agent.destroy();
    }
  }

  async restart(): Promise<void> {
    await this.stopServer();
    await this.startServer();
  }

  /** Ends everything and removes its files. */
  async stop(): Promise<void> {
    await this.#clients.run();
    await this.stopServer();
    await this.#etcd.kill();
    await this.#parts.folder.remove();
  }

  async #isReady(dispatcher: Dispatcher): Promise<boolean> {
    try {
      const headers = { authorization: `Bearer ${this.token()}` };
      const { statusCode, body } = await request(`${this.url}/readyz`, { dispatcher, headers });
      await body.dump();
      return statusCode === 200;
    } catch {
      return false;
    }
  }

  #startEtcd(): Program {
    const { folder, ports } = this.#parts;
    const url = `http://127.0.0.1:${ports.etcd}`;
    return Program.start({
      command: path.join(binaries(), 'etcd'),
      folder,
      args: [
        `--data-dir=${path.join(folder.dir, 'etcd')}`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        '--listen-peer-urls=http://127.0.0.1:0',
        '--unsafe-no-fsync',
        '--log-level=warn',
      ],
    });
  }

  #startServerProgram(): Program {
    const { folder, ports, certificate, serverArgs } = this.#parts;
    const at = (name: string): string => path.join(folder.dir, name);
    return Program.start({
      command: path.join(binaries(), 'kube-apiserver'),
      folder,
      args: [
        `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${ports.server}`,
        `--cert-dir=${folder.dir}`,
        `--tls-cert-file=${certificate.certFile}`,
        `--tls-private-key-file=${certificate.keyFile}`,
        `--token-auth-file=${at('tokens.csv')}`,
        '--authorization-mode=RBAC',
        // Nobody makes the service accounts that the one asks for, or removes the taints that the other sets.
        '--disable-admission-plugins=ServiceAccount,TaintNodesByCondition',
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-key-file=${at('service-account.pub')}`,
        `--service-account-signing-key-file=${at('service-account.key')}`,
        '--service-cluster-ip-range=10.0.0.0/24',
        '--endpoint-reconciler-type=none',
        '--profiling=false',
        ...serverArgs,
      ],
    });
  }
}

export type { ControlPlane };

/**
 * Starts a control plane of the caller's own, which has to stop it.
 *
 * @throws Error with the end of a log when a part does not start
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  for (let attempt = 1; ; attempt++) {
    const controlPlane = new ControlPlane(await prepare(options));
    try {
      await controlPlane.startServer();
      if (options.crds ?? true) await installCrds(controlPlane.client);
      return controlPlane;
    } catch (error) {
      await controlPlane.stop();
      if (attempt >= startAttempts || !String(error).includes('address already in use'))
        throw error;
    }
  }
}

/** The files and ports that the programs start with. */
async function prepare(options: ControlPlaneOptions): Promise<Parts> {
  const folder = await ProgramFolder.create();
  const { dir } = folder;
  const users = new Users(dir, options.users ?? {});
  const [etcd, server] = [await freePorts(1), await freePorts(1)];
  const certificate = await selfSignedCertificate(dir);
  const ca = await readFile(certificate.certFile, 'utf8');
  await users.writeTokens();
  for (const name of users.names)
    await users.writeKubeconfig(name, { server: `https://127.0.0.1:${server}`, ca });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(
    path.join(dir, 'service-account.key'),
    privateKey.export({ type: 'sec1', format: 'pem' }),
  );
  await writeFile(
    path.join(dir, 'service-account.pub'),
    publicKey.export({ type: 'spki', format: 'pem' }),
  );
  const audit = options.auditPolicy ? await auditArgs(dir, options.auditPolicy) : [];
  const serverArgs = [...audit, ...(options.serverArgs ?? [])];
  return { folder, users, ports: { etcd, server }, certificate, ca, serverArgs };
}

async function auditArgs(dir: string, policy: object): Promise<string[]> {
  const file = path.join(dir, 'audit-policy.yaml');
  await writeFile(file, JSON.stringify(policy));
  return [`--audit-policy-file=${file}`, `--audit-log-path=${path.join(dir, 'audit.log')}`];
}
