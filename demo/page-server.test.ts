import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { startPageServer, type PageServer } from './page-server.ts';

const config = { signalingPort: 4443, signalingPorts: [4443, 4444] };

describe('startPageServer', () => {
  let dist: string;
  let server: PageServer;
  const get = (where: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${server.port}${where}`, init);

  /** The policy for a given Host header, which `fetch` does not let one choose. */
  const policyFor = (host: string) =>
    new Promise<string>((resolve, reject) => {
      request(
        { port: server.port, host: '127.0.0.1', path: '/', headers: { host } },
        (response) => {
          response.resume();
          resolve(String(response.headers['content-security-policy']));
        },
      )
        .on('error', reject)
        .end();
    });

  beforeEach(async () => {
    dist = await mkdtemp(path.join(tmpdir(), 'page-'));
    await mkdir(path.join(dist, 'assets'));
    await writeFile(path.join(dist, 'index.html'), '<!doctype html><title>page</title>');
    await writeFile(path.join(dist, 'assets/index-abc.js'), 'export {};');
    server = await startPageServer({ host: '127.0.0.1', port: 0, dist, config });
  });

  afterEach(async () => {
    await server.close();
    await rm(dist, { recursive: true });
  });

  it('serves the page, to be asked for again, and its hashed files for good', async () => {
    const page = await get('/?room=r');
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<title>page</title>');
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const script = await get('/assets/index-abc.js');
    expect(script.headers.get('content-type')).toContain('javascript');
    expect(script.headers.get('cache-control')).toContain('immutable');
  });

  it('serves the configuration', async () => {
    const response = await get('/config.json');
    expect(await response.json()).toEqual(config);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('sets security headers on every answer', async () => {
    for (const where of ['/', '/config.json', '/nothing']) {
      const { headers } = await get(where);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
  });

  it('lets the page connect to its own host name on any port', async () => {
    const policy = await policyFor('sfu.example:8080');
    expect(policy).toContain('ws://sfu.example:* wss://sfu.example:*');
    expect(policy).toContain("script-src 'self';");
  });

  it('does not repeat a host header that is no host name', async () => {
    expect(await policyFor('x; script-src *')).not.toContain('script-src *');
    expect(await policyFor('[::1]:8080')).toContain("connect-src 'self' ws: wss: http: https:");
  });

  it('answers 404 for what is not there, and for what is outside of its folder', async () => {
    expect((await get('/nothing')).status).toBe(404);
    expect((await get('/%2e%2e/%2e%2e/etc/passwd')).status).toBe(404);
  });

  it('answers 405 for anything but reading', async () => {
    const response = await get('/', { method: 'POST' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });

  it('says what to do where the page was not built, and serves it once it is', async () => {
    await rm(path.join(dist, 'index.html'));
    const missing = await get('/');
    expect(missing.status).toBe(503);
    expect(await missing.text()).toContain('npm run build:web');
    await writeFile(path.join(dist, 'index.html'), 'built');
    expect((await get('/')).status).toBe(200);
  });

  it('fails where the port is taken, and closes more than once', async () => {
    const options = { host: '127.0.0.1', port: server.port, dist, config };
    await expect(startPageServer(options)).rejects.toThrow('EADDRINUSE');
    await server.close();
    await server.close();
  });
});
