import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { pino } from 'pino';

import { createKnex } from '../../common/db/knex.ts';
import { migrate } from '../../common/db/migrate.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { apiVersion, type MediaWorker } from '../../common/resources/types.ts';
import { databaseConfig, readConfig } from '../../common/service/config.ts';
import { mediaNodeConfigOf, signalingConfigOf } from '../../demo/configs.ts';
import { nodeClientOf } from '../../demo/node-client.ts';
import { buildPage } from '../../demo/page-build.ts';
import { startPageServer } from '../../demo/page-server.ts';
import { freePorts } from '../../demo/ports.ts';
import { operatorConfig } from '../../operator/config.ts';
import { Cleanup } from '../../testing/cleanup.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { PodKubelets } from '../../testing/kubernetes/kubelet.ts';
import {
  grantRoles,
  serviceUser,
  systemNamespace,
} from '../../testing/kubernetes/service-roles.ts';
import { until } from '../../testing/until.ts';
import { auditUntilSame } from '../audit.ts';
import type { Component, MediaNode, Platform, Running } from '../platform.ts';
import { waitUntilSteady } from '../steady.ts';
import { LocalIngress } from './ingress.ts';
import { MediaNodeProcess } from './media-node.ts';
import { dropPackets, isInNamespace, mountMemory } from './namespace.ts';
import { LocalPostgres } from './postgres.ts';
import { SupervisedService } from './process.ts';

const root = path.resolve(import.meta.dirname, '../..');
const namespace = 'default';
/** One more than there are pods in a roll-out of all, so that each has a machine of its own. */
const machineCount = 8;
/** Pause before what died is started again, in milliseconds: as a kubelet's first one. */
const restartMs = 1000;
const disks = { postgresMegabytes: 512, logMegabytes: 64 };

export interface LocalPlatformOptions {
  /** For configuration and logs; emptied first. */
  dir: string;
  /** Sizes of the pools, and how many signaling replicas there are. */
  producers: number;
  consumers: number;
  replicas: number;
  /** How long a draining node may keep its peers, in seconds. */
  drainSeconds: number;
  /** The logs go to a small disk of their own. */
  smallLogDisk: boolean;
  say: (line: string) => void;
}

const secret = (): string => randomBytes(32).toString('hex');

const pool = (name: string, drainSeconds: number, spec: object): object => ({
  ...{ apiVersion, kind: 'MediaWorker', metadata: { name, namespace } },
  spec: {
    ...{ workersPerNode: 1, drain: { timeoutSeconds: drainSeconds } },
    ...{ rooms: { createOnJoin: true }, ...spec },
  },
});

/**
 * The whole platform on this machine: a real API server with simulated machines on which real media nodes run, the
 * operator, signaling replicas behind an ingress, and Postgres. Each part is a process that may die alone.
 */
export class LocalPlatform implements Platform {
  readonly #options: LocalPlatformOptions;
  readonly #cleanup = new Cleanup();
  readonly #services = new Map<string, SupervisedService>();
  readonly #serviceSecret = secret();
  readonly #roomSecret = secret();
  #controlPlane!: ControlPlane;
  #postgres!: LocalPostgres;
  #kubelets!: PodKubelets<MediaNodeProcess>;
  #nodes = nodeClientOf(this.#serviceSecret, 'chaos');
  ingress!: LocalIngress;
  knex!: Platform['knex'];
  pageUrl = '';
  readonly browserFlags = ['--allow-loopback-in-peer-connection'];
  readonly cut: Platform['cut'];
  readonly fillDisk: Platform['fillDisk'];
  #logDir: string;
  #databaseDir = '';

  private constructor(options: LocalPlatformOptions) {
    this.#options = options;
    this.#logDir = path.join(options.dir, 'logs');
    if (!isInNamespace()) return;
    this.cut = ({ address }, what) => dropPackets(address, what);
    this.fillDisk = (of) => fill(of === 'postgres' ? this.#databaseDir : this.#logDir);
  }

  /** @throws Error when a part does not get ready; what was started is stopped again */
  static async start(options: LocalPlatformOptions): Promise<LocalPlatform> {
    const platform = new LocalPlatform(options);
    try {
      await platform.#start();
      return platform;
    } catch (error) {
      await platform.stop().catch(() => undefined);
      throw error;
    }
  }

  get signalingUrl(): string {
    return `ws://127.0.0.1:${this.ingress.port}`;
  }

  tokenOf(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async mediaNodes(): Promise<MediaNode[]> {
    const found = await Promise.all(
      [...this.#kubelets.nodes].map(async ([key, { address, url }]) => {
        const pod = key.split('/')[1] ?? key;
        const status = await this.#nodes.status(url).catch(() => undefined);
        const machine = this.#kubelets.machineOf(pod);
        return status && { pod, pool: status.pool, machine, address, status };
      }),
    );
    return found.filter((node) => node !== undefined);
  }

  async processes(): Promise<Running[]> {
    const { etcd, server } = this.#controlPlane.pids;
    const found: { component: Component; name: string; pid: number | undefined }[] = [
      ...[...this.#kubelets.nodes].map(([key, { pid }]) => ({
        ...{ component: 'media-node' as const, name: key.split('/')[1] ?? key, pid },
      })),
      ...[...this.#services.values()].map(({ name, pid }) => ({
        ...{ component: componentOf(name), name, pid },
      })),
      { component: 'postgres', name: 'postgres', pid: await this.#postgres.pid().catch(() => 0) },
      { component: 'kube-apiserver', name: 'kube-apiserver', pid: server },
      { component: 'etcd', name: 'etcd', pid: etcd },
    ];
    return found.flatMap(({ pid, ...rest }) => (pid ? [{ ...rest, pid }] : []));
  }

  async pools(): Promise<MediaWorker[]> {
    const path = collectionPath(resourceTypes.mediaworkers, namespace);
    return (await this.#controlPlane.client.list<MediaWorker>(path)).items;
  }

  async patchPool(name: string, spec: object): Promise<void> {
    await this.#controlPlane.client.call({
      method: 'PATCH',
      patch: 'merge',
      path: objectPath(resourceTypes.mediaworkers, { namespace, name }),
      body: { spec },
    });
  }

  cordon(machine: string, cordoned: boolean): Promise<void> {
    return this.#kubelets.cordon(machine, cordoned);
  }

  async away(
    component: Component,
    { signal, ms }: { signal: 'SIGKILL' | 'SIGTERM'; ms: number },
  ): Promise<void> {
    if (component === 'postgres') return this.#postgres.away(signal, ms);
    if (component === 'kube-apiserver') {
      await this.#controlPlane.stopServer();
      await new Promise((resolve) => setTimeout(resolve, ms));
      return this.#controlPlane.startServer();
    }
    const service = [...this.#services.values()].find(
      ({ name }) => componentOf(name) === component,
    );
    if (!service) throw new Error(`${component} can't be taken away`);
    return service.away(signal, ms);
  }

  async steady(): Promise<void> {
    // A server that found its disk full may have given up.
    await this.#postgres.pid().catch(() => this.#postgres.startAgain());
    await waitUntilSteady({
      pools: () => this.pools(),
      readinessUrls: [...this.#readinessUrls.values()],
      pods: () => [...this.#kubelets.nodes.keys()].map((key) => key.split('/')[1] ?? key),
    });
  }

  audit(): Promise<void> {
    return auditUntilSame(readConfig(operatorConfig, this.#configFile('operator-0')));
  }

  stop(): Promise<void> {
    return this.#cleanup.run();
  }

  readonly #readinessUrls = new Map<string, string>();

  async #start(): Promise<void> {
    const { dir, say, smallLogDisk } = this.#options;
    await rm(dir, { recursive: true, force: true });
    await mkdir(this.#logDir, { recursive: true });
    if (smallLogDisk) await mountMemory(this.#logDir, disks.logMegabytes);
    say('starting Postgres and the Kubernetes API server');
    await Promise.all([this.#startPostgres(), this.#startControlPlane()]);
    const migrated = migrate(this.#postgres.url);
    this.#startKubelets(await this.#mediaNodeConfig());
    await this.#kubelets.start();
    for (let i = 0; i < machineCount; i++) await this.#kubelets.addNode(`machine-${i}`);
    await migrated;
    this.knex = createKnex(databaseConfig.parse({ url: this.#postgres.url }));
    this.#cleanup.add(() => this.knex.destroy());
    say('starting the operator and signaling');
    await this.#startOperator();
    await this.#applyPools();
    await this.#startSignaling();
    await this.steady();
  }

  async #startPostgres(): Promise<void> {
    const parent = '/var/tmp';
    this.#databaseDir = await mkdtemp(path.join(parent, 'kube-sfu-chaos-'));
    await chmod(this.#databaseDir, 0o755);
    this.#cleanup.add(() =>
      rm(this.#databaseDir, { recursive: true, force: true }).catch(() => undefined),
    );
    if (isInNamespace()) await mountMemory(this.#databaseDir, disks.postgresMegabytes);
    const log = pino(pino.destination({ dest: path.join(this.#options.dir, 'postgres.log') }));
    this.#postgres = await LocalPostgres.start({
      dataDir: path.join(this.#databaseDir, 'data'),
      port: await freePorts(1),
      log: (line) => log.info(line),
    });
    this.#cleanup.add(() => this.#postgres.stop());
  }

  async #startControlPlane(): Promise<void> {
    const users = Object.fromEntries(
      (['operator', 'signaling'] as const).map((service) => [serviceUser(service), []]),
    );
    this.#controlPlane = await startControlPlane({ users });
    this.#cleanup.add(() => this.#controlPlane.stop());
    for (const service of ['operator', 'signaling'] as const)
      await grantRoles(this.#controlPlane, service, namespace);
  }

  #shared(service: 'operator' | 'signaling') {
    return {
      databaseUrl: this.#postgres.url,
      serviceSecret: this.#serviceSecret,
      roomSecret: this.#roomSecret,
      logLevel: 'info',
      kubeconfig: this.#controlPlane.kubeconfig(serviceUser(service)),
    };
  }

  #configFile(name: string): string {
    return path.join(this.#options.dir, `${name}.json`);
  }

  async #config(name: string, config: object): Promise<string> {
    const file = this.#configFile(name);
    // JSON is YAML. It holds secrets.
    await writeFile(file, JSON.stringify(config, null, 2), { mode: 0o600 });
    return file;
  }

  #mediaNodeConfig(): Promise<string> {
    return this.#config('media-node', mediaNodeConfigOf(this.#shared('operator')));
  }

  #startKubelets(configFile: string): void {
    this.#kubelets = new PodKubelets<MediaNodeProcess>({
      client: this.#controlPlane.client,
      logger: pino({ level: 'silent' }),
      namespace,
      startPod: async ({ pod, addresses }) => {
        const podIP = addresses.next();
        const { name } = pod.metadata;
        const onCrash = (): void => void this.#restartPod(name, node);
        const node = new MediaNodeProcess({
          ...{ pod, podIP, configFile, logDir: this.#logDir, onCrash },
        });
        await node.start();
        return { node, podIP };
      },
    });
    this.#cleanup.add(() => this.#kubelets.close().catch(() => undefined));
  }

  /** As a kubelet does with a container that has ended. */
  async #restartPod(name: string, node: MediaNodeProcess): Promise<void> {
    const isHere = (): boolean => this.#kubelets.nodes.get(`${namespace}/${name}`) === node;
    const insist = (work: () => Promise<void>): Promise<boolean> =>
      until(
        `pod ${name}`,
        async () => {
          if (isHere()) await work();
          return true;
        },
        { timeoutMs: 120_000 },
      ).catch(() => false);
    await insist(() => this.#kubelets.endContainer(name));
    await new Promise((resolve) => setTimeout(resolve, restartMs));
    await insist(() => this.#kubelets.restartContainer(name));
  }

  async #startService(name: string, script: string, config: object): Promise<void> {
    const configFile = await this.#config(name, config);
    const service = new SupervisedService({
      ...{ name, restartMs, args: [path.join(root, script), '--config', configFile] },
      logFile: () => path.join(this.#logDir, `${name}.log`),
    });
    this.#services.set(name, service);
    this.#cleanup.add(() => service.stop());
    service.start();
  }

  async #startOperator(): Promise<void> {
    const { databaseUrl, serviceSecret, kubeconfig } = this.#shared('operator');
    const port = await freePorts(1);
    await this.#startService('operator-0', 'operator/main.ts', {
      serviceAuth: { secret: serviceSecret },
      database: { url: databaseUrl },
      listen: { port },
      kubernetes: { kubeconfig, namespace, leaderElection: { namespace: systemNamespace } },
    });
    this.#readinessUrls.set('operator-0', `http://127.0.0.1:${port}/readyz`);
  }

  async #applyPools(): Promise<void> {
    const { producers, consumers, drainSeconds } = this.#options;
    const network = (start: number) => ({
      network: { mode: 'PodIP', portRange: { start, end: start + 99 } },
    });
    const items = [
      pool('producers', drainSeconds, {
        role: 'Producer',
        replicas: producers,
        ...network(20_000),
      }),
      pool('consumers', drainSeconds, {
        role: 'Consumer',
        replicas: consumers,
        ...network(20_100),
      }),
    ];
    for (const body of items)
      await this.#controlPlane.client.call({
        method: 'POST',
        path: collectionPath(resourceTypes.mediaworkers, namespace),
        body,
      });
  }

  async #startSignaling(): Promise<void> {
    const { replicas, consumers } = this.#options;
    const pagePort = await freePorts(2 + 2 * replicas);
    const ingressPort = pagePort + 1;
    this.pageUrl = `http://localhost:${pagePort}`;
    const upstreams = Array.from({ length: replicas }, (_, i) => ({
      name: `signaling-${i}`,
      port: pagePort + 2 + 2 * i,
      internalPort: pagePort + 3 + 2 * i,
    }));
    for (const { name, port, internalPort } of upstreams) {
      const config = signalingConfigOf(this.#shared('signaling'), {
        ...{ publicPort: port, internalPort, pageUrls: [this.pageUrl], tls: undefined, consumers },
      });
      await this.#startService(name, 'signaling/main.ts', config);
      this.#readinessUrls.set(name, `http://127.0.0.1:${internalPort}/readyz`);
    }
    this.ingress = await LocalIngress.start(
      ingressPort,
      upstreams.map(({ name, port }) => ({
        port,
        readinessUrl: this.#readinessUrls.get(name) ?? '',
      })),
    );
    this.#cleanup.add(() => this.ingress.close());
    const page = await startPageServer({
      ...{ host: '127.0.0.1', port: pagePort, dist: await buildPage(this.#options.say) },
      config: { signalingPort: ingressPort, signalingPorts: [ingressPort] },
    });
    this.#cleanup.add(() => page.close());
  }
}

const componentOf = (name: string): Component =>
  name.startsWith('operator') ? 'operator' : 'signaling';

/** Takes all the space that is left on the disk of a folder. */
async function fill(dir: string): Promise<() => Promise<void>> {
  const file = path.join(dir, 'filler');
  const { bavail, bsize } = await statfs(dir);
  await writeFile(file, Buffer.alloc(bavail * bsize)).catch(() => undefined);
  return () => rm(file, { force: true });
}
