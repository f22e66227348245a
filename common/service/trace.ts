import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

/** W3C Trace Context: `00-<trace id>-<parent span id>-<flags>`. */
const pattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
const zeros = /^0+$/;

const context = new AsyncLocalStorage<string>();

export const traceparentHeader = 'traceparent';

/** The trace that this work belongs to, or undefined outside of any. */
export const currentTraceId = (): string | undefined => context.getStore();

/** Runs `work` in the trace that a caller's header names, else in a new one. */
export function withTrace<T>(header: string | undefined, work: () => T): T {
  const [, traceId, parentId] = pattern.exec(header ?? '') ?? [];
  const known = traceId && parentId && !zeros.test(traceId) && !zeros.test(parentId);
  return context.run(known ? traceId : randomBytes(16).toString('hex'), work);
}

/** The header of a call that is made now: the current trace, or one of its own, and a new span. */
export function currentTraceparent(): string {
  const traceId = context.getStore() ?? randomBytes(16).toString('hex');
  return `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
}
