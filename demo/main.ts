import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { runMain } from '../common/service/lifecycle.ts';
import { demoOptions } from './options.ts';
import { buildPage } from './page-build.ts';
import { startPageServer } from './page-server.ts';
import { startPlatform } from './platform.ts';
import { assertFree } from './ports.ts';
import { demoDir, stateFile, writeState } from './state.ts';
import { selfSignedCertificate } from './tls.ts';

const started = Date.now();
const say = (line: string): void => {
  console.log(`[${((Date.now() - started) / 1000).toFixed(1)} s] ${line}`);
};

/** The nodes' APIs take the first free ports from here on. */
const firstNodeApiPort = 14_000;

/** Runs the whole platform on this machine until Ctrl-C. */
async function main(): Promise<void> {
  const options = demoOptions(process.env);
  const signalingPorts = Array.from(
    { length: options.replicas },
    (_, i) => options.signalingPort + i,
  );
  await assertFree(options.pagePort, 'DEMO_PAGE_PORT');
  for (const port of signalingPorts) await assertFree(port, 'DEMO_SIGNALING_PORT');
  await mkdir(demoDir, { recursive: true });

  const dist = await buildPage(say);
  const tls = options.tls ? await selfSignedCertificate(path.join(demoDir, 'tls')) : undefined;
  const scheme = tls ? 'https' : 'http';
  const pageUrl = `${scheme}://localhost:${options.pagePort}`;

  let stopping = false;
  let stop = (): Promise<void> => Promise.resolve();
  const onSignal = (): void => {
    // The second one means: now. Every service ends by itself when we are gone.
    if (stopping) process.exit(1);
    stopping = true;
    say('stopping');
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  const abort = new AbortController();
  let saveState = (): void => undefined;
  const starting = startPlatform({
    signal: abort.signal,
    onRestart: () => saveState(),
    dir: demoDir,
    signalingPorts,
    consumers: options.consumers,
    ports: { rtc: options.rtcPort, nodeApi: firstNodeApiPort },
    pageUrls: [pageUrl, `${scheme}://127.0.0.1:${options.pagePort}`],
    tls,
    databaseUrl: options.databaseUrl,
    logLevel: options.logLevel,
    say,
  });
  // A start that is given up stops what it has started before it fails.
  stop = async () => {
    abort.abort(new Error('stopped during the start'));
    await starting.then((platform) => platform.stop()).catch(() => undefined);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);

  const platform = await starting.catch((error: unknown) => {
    // Stopped on request: the signal's handler ends the process.
    if (stopping) return new Promise<never>(() => undefined);
    throw error;
  });
  const page = await startPageServer({
    host: '127.0.0.1',
    port: options.pagePort,
    dist,
    config: { signalingPort: options.signalingPort, signalingPorts },
    ...(tls
      ? {
          tls: {
            cert: await readFile(tls.certFile, 'utf8'),
            key: await readFile(tls.keyFile, 'utf8'),
          },
        }
      : {}),
  });
  await writeState(platform, pageUrl);
  saveState = () => void writeState(platform, pageUrl);
  stop = async () => {
    saveState = () => undefined;
    await rm(stateFile, { force: true });
    await page.close();
    await platform.stop();
  };

  say(`page:      ${pageUrl}`);
  say(`console:   ${pageUrl}/#/console`);
  say(
    `signaling: ${platform.replicas.map((replica) => replica.publicUrl.replace(/^http/, 'ws')).join(' ')}`,
  );
  say(`resources: ${platform.resourcesDir} (edit them: the change is applied)`);
  say(`logs:      ${path.join(demoDir, 'logs')}`);
  say('kube-sfu is ready');
}

runMain(main);
