import { createServer } from 'node:http';

import { describe, expect, it } from '@jest/globals';

import { closeServer, listen } from '../common/service/http.ts';
import { answerStarting } from './starting.ts';

describe('a media node that starts', () => {
  it('lives, and says that it takes no work yet', async () => {
    const server = createServer(answerStarting);
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    try {
      const health = await fetch(`http://127.0.0.1:${port}/healthz`);
      expect(health.status).toBe(200);
      await health.text();
      for (const path of ['/readyz', '/rooms/a/routers/b']) {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`);
        expect(answer.status).toBe(503);
        expect(await answer.json()).toMatchObject({ error: { code: 'node_unavailable' } });
      }
    } finally {
      server.closeAllConnections();
      await closeServer(server);
    }
  });
});
