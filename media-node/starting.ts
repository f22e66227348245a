import type { IncomingMessage, ServerResponse } from 'node:http';

import { ApiError } from '../common/errors.ts';

/** Answers while the node is being put together: it lives, and takes no work yet. */
export function answerStarting(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const isProbe = request.url === '/healthz';
  const refusal = new ApiError('node_unavailable', 'the node is starting');
  response.writeHead(isProbe ? 200 : refusal.status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(isProbe ? { status: 'ok' } : refusal.toBody()));
}
