/** Of the calls between the services, in tests. */
export const secret = 'a secret of the tests, long enough';

/** Times of the operator short enough for tests; what a test needs longer it sets itself. */
export const quickConfig = {
  serviceAuth: { secret },
  nodeClient: { timeoutMs: 1000, retries: 0 },
  nodes: {
    ...{ intervalMs: 50, timeoutMs: 1000, silentIntervalMs: 100, refusedIntervalMs: 20 },
    ...{ drainingIntervalMs: 20, staleAfterMisses: 2, deadAfterMisses: 8 },
    ...{ deadAfterMs: 2000, deadAfterRefusals: 3, replaceAfterMs: 2500 },
  },
  reconcile: { backoff: { initialMs: 20, maxMs: 200 }, statusIntervalMs: 50, resyncMs: 500 },
  rooms: { closeTimeoutMs: 1000, drainGraceMs: 100, orphanGraceMs: 200 },
  placement: { refusalMs: 300 },
};
