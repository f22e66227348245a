/** Of the calls between the services, in tests. */
export const secret = 'a secret of the tests, long enough';

/** Times of the operator short enough for tests; what a test needs longer it sets itself. */
export const quickConfig = {
  serviceAuth: { secret },
  nodeClient: { timeoutMs: 1000, retries: 0 },
  nodes: {
    ...{ intervalMs: 50, timeoutMs: 500, silentIntervalMs: 50, refusedIntervalMs: 20 },
    ...{ drainingIntervalMs: 20, staleAfterMisses: 2, deadAfterMisses: 8 },
    ...{ deadAfterMs: 400, deadAfterRefusals: 3, replaceAfterMs: 600 },
  },
  reconcile: { backoff: { initialMs: 20, maxMs: 200 }, statusIntervalMs: 50, resyncMs: 500 },
  rooms: { closeTimeoutMs: 1000, drainGraceMs: 100, orphanGraceMs: 200 },
  placement: { refusalMs: 300 },
};
