import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { parse } from 'yaml';

import { signRoomToken } from '../../../signaling/auth/room-token.ts';
import type { Cluster, KubeObject, Manifest } from './cluster.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const chart = path.join(root, 'charts/kube-sfu');
/** More values for a cluster of one's own, such as `image.registry`: the file that this variable names. */
const valuesVariable = 'E2E_VALUES';
/** How long Helm may take. */
const helmMs = 240_000;
/** How long a draining media node may keep its peers, in seconds: short, so that the suite sees them move. */
const drainSeconds = 10;

export interface ReleaseOptions {
  name: string;
  namespace: string;
  mediaNamespace: string;
  host: string;
  /** First of the twenty ports for media; no two releases may share any. */
  firstPort: number;
  consumers: number;
}

/** Values over those of the release, nested as in a values file. */
export type Values = Record<string, unknown>;

const small = (memory: string): Values => ({ requests: { cpu: '20m', memory } });

const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function merge(base: Values, over: Values): Values {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isMap(old) && isMap(value) ? merge(old, value) : value;
  }
  return merged;
}

type Gateway = KubeObject & { spec: { listeners: { protocol: string }[] } };

/** A Gateway that takes HTTP; undefined where the cluster has none, or not even the Gateway API. */
export async function findGateway(cluster: Cluster): Promise<KubeObject | undefined> {
  const crds = await cluster.list('customresourcedefinitions');
  if (!crds.some(({ metadata }) => metadata.name === 'gateways.gateway.networking.k8s.io'))
    return undefined;
  const gateways = await cluster.list<Gateway>('gateways.gateway.networking.k8s.io');
  return gateways.find(({ spec }) => spec.listeners.some(({ protocol }) => protocol === 'HTTP'));
}

/** One installation of the chart. */
export class Release {
  readonly #cluster: Cluster;
  readonly options: ReleaseOptions;

  constructor(cluster: Cluster, options: ReleaseOptions) {
    this.#cluster = cluster;
    this.options = options;
  }

  /** Beginning of the names of its objects, as the chart makes it. */
  get fullname(): string {
    const { name } = this.options;
    return name.includes('kube-sfu') ? name : `${name}-kube-sfu`;
  }

  get pageUrl(): string {
    return `https://${this.options.host}`;
  }

  /** The page's address by the Gateway API. */
  get gatewayUrl(): string {
    return `http://${this.#gatewayHost}`;
  }

  get #gatewayHost(): string {
    return `gateway-${this.options.host}`;
  }

  /** Label selector of a component's pods. */
  selector(component: string): string {
    return `app.kubernetes.io/instance=${this.options.name},app.kubernetes.io/component=${component}`;
  }

  /** Installs or upgrades, and waits until all is there. */
  async deploy(over: Values = {}, timeoutMs = helmMs): Promise<void> {
    const { name, namespace } = this.options;
    const timeout = `--timeout=${Math.ceil(timeoutMs / 1000)}s`;
    const args = ['upgrade', name, chart, '--install', '--namespace', namespace, '--values=-'];
    const input = JSON.stringify(await this.#values(over));
    await this.#cluster.helm([...args, '--wait', timeout], {
      ...{ input, timeoutMs: timeoutMs + 30_000 },
    });
  }

  /** Whether Helm says that the last installation or upgrade went well. */
  async isDeployed(): Promise<boolean> {
    const { name, namespace } = this.options;
    const args = ['list', '--namespace', namespace, '--filter', `^${name}$`, '--deployed'];
    return (await this.#cluster.helm([...args, '--short'])).trim() === name;
  }

  async rollback(): Promise<void> {
    const { name, namespace } = this.options;
    await this.#cluster.helm([
      'rollback',
      name,
      '--namespace',
      namespace,
      '--wait',
      '--timeout=4m',
    ]);
  }

  /** Runs the chart's own tests. */
  async test(): Promise<string> {
    const { name, namespace } = this.options;
    return this.#cluster.helm(['test', name, '--namespace', namespace, '--logs', '--timeout=2m']);
  }

  async uninstall(): Promise<void> {
    const { name, namespace } = this.options;
    const args = ['uninstall', name, '--namespace', namespace, '--ignore-not-found'];
    await this.#cluster.helm([...args, '--wait', '--timeout=5m'], { timeoutMs: 320_000 });
  }

  /** A token for a peer of a room, signed with the release's own key. */
  async token(room: string, peer: string): Promise<string> {
    const { namespace } = this.options;
    const secret = await this.#cluster.get<KubeObject & { data: Record<string, string> }>(
      ...(['secret', this.fullname, namespace] as const),
    );
    const key = Buffer.from(secret.data['ROOM_SECRET'] ?? '', 'base64').toString();
    const grants = { publish: true, subscribe: true, data: true, admin: false };
    return signRoomToken({ secret: key, room, peer, ttlSeconds: 7200, grants });
  }

  /** A room of the release whose watchers are spread over so many nodes. */
  room(name: string, consumerRouters = 1): Manifest {
    return {
      ...{ apiVersion: 'kube-sfu.dev/v1alpha1', kind: 'MediaRoom' },
      metadata: { name, namespace: this.options.mediaNamespace },
      spec: { consumers: { routers: consumerRouters } },
    };
  }

  async #values(over: Values): Promise<Values> {
    const file = process.env[valuesVariable];
    const given = file ? (parse(await readFile(file, 'utf8')) as Values | null) : null;
    return [await this.#own(), given ?? {}, over].reduce(merge, {});
  }

  /** Small enough for two releases on a small machine. */
  async #own(): Promise<Values> {
    const { mediaNamespace, namespace, host } = this.options;
    const [first = ''] = this.#cluster.info.nodes;
    return {
      crds: { enabled: await this.bringsKinds() },
      operator: { resources: small('96Mi') },
      signaling: { resources: small('96Mi') },
      media: { namespace: mediaNamespace, createNamespace: mediaNamespace !== namespace },
      postgres: {
        mode: 'trial',
        // Where it stays when the suite takes the other nodes away: nothing here is about Postgres on several machines.
        trial: { resources: small('96Mi'), nodeSelector: { 'kubernetes.io/hostname': first } },
      },
      ingress: {
        ...{ enabled: true, host, tls: { mode: 'generated' } },
        className: await this.#ingressClass(),
      },
      gateway: await this.#gateway(),
      pools: this.#pools(),
    };
  }

  #pools(): Values {
    const { firstPort, consumers } = this.options;
    const pool = (role: string, replicas: number, start: number): Values => ({
      spec: {
        ...{ role, replicas, resources: small('96Mi'), drain: { timeoutSeconds: drainSeconds } },
        // helm test makes its room by joining it.
        rooms: { createOnJoin: true },
        network: { portRange: { start, end: start + 9 } },
      },
    });
    return {
      producers: pool('Producer', 1, firstPort),
      consumers: pool('Consumer', consumers, firstPort + 10),
    };
  }

  /** A HTTPRoute, where there is a Gateway with a listener for HTTP. */
  async #gateway(): Promise<Values> {
    const gateway = await findGateway(this.#cluster);
    if (!gateway) return { enabled: false };
    const { name, namespace } = gateway.metadata;
    const parentRefs = [{ name, namespace }];
    return { enabled: true, scheme: 'http', hostnames: [this.#gatewayHost], parentRefs };
  }

  /** The cluster's only class; empty, which means the default one, where there are several. */
  async #ingressClass(): Promise<string> {
    const classes = await this.#cluster.list('ingressclasses');
    if (classes.length === 0) throw new Error('the cluster has no ingress controller');
    return classes.length === 1 ? (classes[0]?.metadata.name ?? '') : '';
  }

  /** Of the releases in a cluster only one can have the CRDs; it is this one unless they are another's already. */
  async bringsKinds(): Promise<boolean> {
    const crds = await this.#cluster.list('customresourcedefinitions');
    const owner = crds.find(({ metadata }) => metadata.name === 'mediarooms.kube-sfu.dev');
    if (!owner) return true;
    const annotations = owner.metadata.annotations ?? {};
    const { name, namespace } = this.options;
    return (
      annotations['meta.helm.sh/release-name'] === name &&
      annotations['meta.helm.sh/release-namespace'] === namespace
    );
  }
}
