import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { parseAllDocuments } from 'yaml';

import { migrate } from '../common/db/migrate.ts';
import { startEmbeddedPostgres } from '../scripts/postgres/embedded.ts';
import { startChild, type Child } from './child.ts';
import { mediaNodeConfigOf, operatorConfigOf, signalingConfigOf } from './configs.ts';
import { freePorts } from './ports.ts';
import { waitUntilReady } from './readiness.ts';
import type { TlsFiles } from './tls.ts';

export interface PlatformOptions {
  /** Working folder: configuration, resources, logs, the database. */
  dir: string;
  /** Public port of each signaling replica. */
  signalingPorts: number[];
  consumers: number;
  /** URLs of the page whose browsers may connect. */
  pageUrls: string[];
  tls?: TlsFiles | undefined;
  /** First RTC port and first port of the nodes' APIs: two platforms side by side need others. */
  ports: { rtc: number; nodeApi: number };
  /** Undefined: the embedded Postgres, whose data is thrown away. */
  databaseUrl?: string | undefined;
  logLevel: string;
  say: (line: string) => void;
  /** Told when a service has been started again. */
  onRestart?: () => void;
  /** Aborts the start: what was started is stopped again. */
  signal?: AbortSignal;
}

export interface ReplicaAddress {
  name: string;
  publicUrl: string;
  internalUrl: string;
}

/** The running platform: Postgres, the operator with its media nodes, and the signaling replicas. */
export interface Platform {
  databaseUrl: string;
  /** Process id of the embedded Postgres. */
  postgresPid: number | undefined;
  /** Key of internal calls, for tests that make some. */
  serviceSecret: string;
  operatorUrl: string;
  kubeconfig: string;
  resourcesDir: string;
  replicas: ReplicaAddress[];
  children: Child[];
  stop: () => Promise<void>;
}

const secret = (): string => randomBytes(32).toString('hex');

/** RTC ports that each pool gets. */
const portsPerPool = 100;

/** Copies the sample pools, and sets the number of consumer nodes and the ports. */
async function prepareResources(dir: string, { consumers, ports }: PlatformOptions): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await cp(path.join(import.meta.dirname, 'resources'), dir, { recursive: true });
  const file = path.join(dir, 'pools.yaml');
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  for (const [i, document] of documents.entries()) {
    if (document.getIn(['metadata', 'name']) === 'consumers')
      document.setIn(['spec', 'replicas'], consumers);
    const start = ports.rtc + i * portsPerPool;
    document.setIn(['spec', 'network', 'portRange', 'start'], start);
    document.setIn(['spec', 'network', 'portRange', 'end'], start + portsPerPool - 1);
  }
  await writeFile(file, documents.map(String).join(''));
}

async function writeConfig(dir: string, name: string, config: unknown): Promise<string> {
  const file = path.join(dir, `${name}.json`);
  // JSON is YAML. It holds secrets.
  await writeFile(file, JSON.stringify(config, null, 2), { mode: 0o600 });
  return file;
}

/** Stops what was started, the last first; every step is tried whatever the others do. */
async function stopAll(steps: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps.toReversed())
    await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, 'the platform did not stop cleanly');
}

/**
 * Brings the platform up on loopback and resolves once a join will succeed.
 *
 * @throws Error when a part does not get ready in time; what was started is stopped again
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const stops: (() => Promise<void>)[] = [];
  try {
    return await start(options, stops);
  } catch (error) {
    await stopAll(stops).catch(() => undefined);
    throw error;
  }
}

async function startDatabase(
  { dir, databaseUrl, say }: PlatformOptions,
  stops: (() => Promise<void>)[],
): Promise<{ url: string; pid?: number }> {
  if (databaseUrl) {
    say('Postgres: the one that DATABASE_URL names');
    return { url: databaseUrl };
  }
  say('Postgres: starting the embedded one');
  const dataDir = path.join(dir, 'postgres');
  await rm(dataDir, { recursive: true, force: true });
  const postgres = await startEmbeddedPostgres({ dataDir });
  stops.push(async () => {
    await postgres.stop();
    await rm(postgres.dataDir, { recursive: true, force: true });
  });
  const [pid] = (await readFile(path.join(postgres.dataDir, 'postmaster.pid'), 'utf8')).split('\n');
  return { url: postgres.url, pid: Number(pid) };
}

async function start(options: PlatformOptions, stops: (() => Promise<void>)[]): Promise<Platform> {
  const { dir, say } = options;
  const configDir = path.join(dir, 'config');
  const logDir = path.join(dir, 'logs');
  const resourcesDir = path.join(dir, 'resources');
  // Nothing of an earlier run: its kubeconfig would name an API that is gone.
  await rm(configDir, { recursive: true, force: true });
  await mkdir(configDir, { recursive: true });
  await prepareResources(resourcesDir, options);

  const database = await startDatabase(options, stops);
  const databaseUrl = database.url;
  const { applied } = await migrate(databaseUrl);
  say(`Postgres: ready, ${applied.length} migrations applied`);

  const shared = {
    databaseUrl,
    serviceSecret: secret(),
    roomSecret: secret(),
    logLevel: options.logLevel,
    kubeconfig: path.join(configDir, 'kubeconfig'),
  };
  const children: Child[] = [];
  const startService = async (name: string, script: string, config: unknown): Promise<void> => {
    const configFile = await writeConfig(configDir, name, config);
    const onStart = (): void => options.onRestart?.();
    const child = startChild({ name, script, configFile, logDir, say, onStart });
    children.push(child);
    stops.push(() => child.stop());
  };

  const nodeConfigFile = await writeConfig(configDir, 'media-node', mediaNodeConfigOf(shared));
  const operatorPort = await freePorts(1);
  say('operator: starting, with the media nodes of its pools');
  await startService(
    'operator',
    'operator/main.ts',
    operatorConfigOf(shared, {
      port: operatorPort,
      nodeApiPort: options.ports.nodeApi,
      nodeConfigFile,
      resourcesDir,
      logDir,
    }),
  );

  say(`signaling: starting ${options.signalingPorts.length} replica(s)`);
  const replicas: ReplicaAddress[] = [];
  for (const [i, publicPort] of options.signalingPorts.entries()) {
    const internalPort = await freePorts(1);
    const name = `signaling-${i}`;
    await startService(
      name,
      'signaling/main.ts',
      signalingConfigOf(shared, {
        publicPort,
        internalPort,
        pageUrls: options.pageUrls,
        tls: options.tls,
        consumers: options.consumers,
      }),
    );
    const scheme = options.tls ? 'https' : 'http';
    replicas.push({
      name,
      publicUrl: `${scheme}://localhost:${publicPort}`,
      internalUrl: `http://127.0.0.1:${internalPort}`,
    });
  }

  const platform: Platform = {
    databaseUrl,
    postgresPid: database.pid,
    serviceSecret: shared.serviceSecret,
    operatorUrl: `http://127.0.0.1:${operatorPort}`,
    kubeconfig: shared.kubeconfig,
    resourcesDir,
    replicas,
    children,
    stop: () => stopAll(stops),
  };
  await waitUntilReady(platform, say, options.signal);
  return platform;
}
