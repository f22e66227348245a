import preact from '@preact/preset-vite';
import { defineConfig, type Plugin } from 'vite';

import { withoutUnused } from '../client/without-unused.ts';

/** In development Vite serves the page, so it answers for the page server's one dynamic file too. */
const developmentConfig = (): Plugin => ({
  name: 'page-config',
  configureServer(server) {
    const signalingPort = Number(process.env['DEMO_SIGNALING_PORT'] ?? 4443);
    server.middlewares.use('/config.json', (_request, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ signalingPort, signalingPorts: [signalingPort] }));
    });
  },
});

export default defineConfig({
  root: import.meta.dirname,
  plugins: [
    withoutUnused(),
    preact({ devToolsEnabled: false, prefreshEnabled: true }),
    developmentConfig(),
  ],
  define: {
    // mediasoup-client brings `debug`, which looks for Node's environment.
    'process.env.DEBUG': 'undefined',
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
  },
  server: { port: 5173 },
});
