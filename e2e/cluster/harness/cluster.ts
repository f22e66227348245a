import { runCommand } from '../../../testing/command.ts';
import { until } from '../../../testing/until.ts';
import { readClusterInfo, type ClusterInfo } from './info.ts';

/** What is used of any Kubernetes object. */
export interface KubeObject {
  apiVersion?: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

export interface Pod extends KubeObject {
  spec: { nodeName?: string; containers: { name: string; image: string }[] };
  status: {
    phase: string;
    podIP?: string;
    conditions?: Condition[];
    containerStatuses?: { imageID: string }[];
  };
}

export interface Scope {
  /** Left out for all of them, and for what belongs to none. */
  namespace?: string;
  /** Label selector. */
  selector?: string;
}

export interface CallOptions {
  input?: string;
  timeoutMs?: number;
}

/** A manifest, as it is sent to the API server. */
export type Manifest = Record<string, unknown>;

const isTrue = ({ status }: KubeObject & { status?: { conditions?: Condition[] } }, type: string) =>
  status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ??
  false;

/** Whether a pod takes traffic. */
const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && isTrue(pod, 'Ready');

/** The cluster under test, by its own tools: kubectl and helm as a user has them. */
export class Cluster {
  readonly info: ClusterInfo;

  private constructor(info: ClusterInfo) {
    this.info = info;
  }

  static async connect(): Promise<Cluster> {
    return new Cluster(await readClusterInfo());
  }

  /** @throws {CommandError} with kubectl's message */
  kubectl(args: string[], options: CallOptions = {}): Promise<string> {
    return runCommand('kubectl', args, { ...options, env: this.#env });
  }

  /** @throws {CommandError} with helm's message */
  helm(args: string[], options: CallOptions = {}): Promise<string> {
    return runCommand('helm', args, { timeoutMs: 300_000, ...options, env: this.#env });
  }

  /** Objects of one or several kinds, such as `pods` or `pods,services`. */
  async list<T extends KubeObject>(
    kinds: string,
    { namespace, selector }: Scope = {},
  ): Promise<T[]> {
    const where = namespace === undefined ? ['--all-namespaces'] : ['--namespace', namespace];
    const which = selector === undefined ? [] : ['--selector', selector];
    const text = await this.kubectl(['get', kinds, '--output=json', ...where, ...which]);
    return (JSON.parse(text) as { items: T[] }).items;
  }

  async get<T extends KubeObject>(kind: string, name: string, namespace: string): Promise<T> {
    const args = ['get', kind, name, '--namespace', namespace, '--output=json'];
    return JSON.parse(await this.kubectl(args)) as T;
  }

  pods(namespace: string, selector: string): Promise<Pod[]> {
    return this.list<Pod>('pods', { namespace, selector });
  }

  /** Sends manifests as `kubectl apply` does. */
  async apply(manifests: Manifest[]): Promise<void> {
    const input = manifests.map((manifest) => JSON.stringify(manifest)).join('\n---\n');
    await this.kubectl(['apply', '--filename=-'], { input });
  }

  /** `kubectl wait`, whose message names what did not come to be. */
  async wait(
    target: string,
    condition: string,
    scope: Scope & { timeoutMs: number },
  ): Promise<void> {
    const where = scope.namespace === undefined ? [] : ['--namespace', scope.namespace];
    const which = scope.selector === undefined ? [] : ['--selector', scope.selector];
    const timeout = `--timeout=${Math.ceil(scope.timeoutMs / 1000)}s`;
    await this.kubectl(['wait', target, `--for=${condition}`, timeout, ...where, ...which], {
      timeoutMs: scope.timeoutMs + 10_000,
    });
  }

  /** Waits until there are exactly so many pods, and all of them take traffic. */
  readyPods(
    namespace: string,
    selector: string,
    count: number,
    timeoutMs = 90_000,
  ): Promise<Pod[]> {
    return until(
      `${count} ready pods of ${selector} in ${namespace}`,
      async () => {
        const pods = await this.pods(namespace, selector);
        if (pods.length === count && pods.every(isReady)) return pods;
        throw new Error(pods.map(describePod).join(', ') || 'no pods');
      },
      { timeoutMs, intervalMs: 500 },
    );
  }

  /** Runs JavaScript in a pod's own container by its Node, and returns what it printed. */
  exec({ metadata: { name, namespace = 'default' } }: Pod, script: string): Promise<string> {
    const args = ['exec', name, '--namespace', namespace, '--', 'node', '--input-type=module'];
    return this.kubectl([...args, '--eval', script], { timeoutMs: 30_000 });
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, KUBECONFIG: this.info.kubeconfig };
  }
}

function describePod(pod: Pod): string {
  const { name, deletionTimestamp } = pod.metadata;
  const going = deletionTimestamp === undefined ? '' : ' (is being deleted)';
  return `${name} on ${pod.spec.nodeName ?? 'no node'}: ${isReady(pod) ? 'ready' : pod.status.phase}${going}`;
}
