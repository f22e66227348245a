import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { chromium, type BrowserContext, type Page } from 'playwright-core';

/** A headless Chromium with a fake camera and microphone that speaks to loopback alone. */
export interface Browser {
  newPage: () => Promise<Page>;
  close: () => Promise<void>;
}

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A slow fake camera: several pages share a small machine, each encoding three layers in software.
  '--use-fake-device-for-media-stream=fps=8',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--auto-select-desktop-capture-source=Entire screen',
  // Pages that are not in front go on at full speed.
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
];

/** @param extra further command line flags */
export async function launchBrowser(extra: string[] = []): Promise<Browser> {
  const executablePath = process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium';
  const userDataDir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-chromium-'));
  const context: BrowserContext = await chromium.launchPersistentContext(userDataDir, {
    executablePath,
    headless: true,
    args: [...flags, ...extra],
    ignoreHTTPSErrors: true,
    // Small: pictures are drawn in software too.
    viewport: { width: 1000, height: 600 },
  });
  return {
    newPage: () => context.newPage(),
    async close() {
      await context.close();
      await rm(userDataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
