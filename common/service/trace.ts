import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';

/** W3C Trace Context: `00-<trace id>-<parent span id>-<flags>`. */
const pattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
const zeros = /^0+$/;

/** Random hex digits. Node keeps random bits in store for UUIDs, which makes them cheaper than bytes from the system. */
const randomHex = (digits: 16 | 32): string => randomUUID().replaceAll('-', '').slice(-digits);

const context = new AsyncLocalStorage<string>();

export const traceparentHeader = 'traceparent';

/** The trace that this work belongs to, or undefined outside of any. */
export const currentTraceId = (): string | undefined => context.getStore();

/** Runs `work` in the trace that a caller's header names, else in a new one. */
export function withTrace<T>(header: string | undefined, work: () => T): T {
  const [, traceId, parentId] = pattern.exec(header ?? '') ?? [];
  const known = traceId && parentId && !zeros.test(traceId) && !zeros.test(parentId);
  return context.run(known ? traceId : randomHex(32), work);
}

/** The header of a call that is made now: the current trace, or one of its own, and a new span. */
export function currentTraceparent(): string {
  const traceId = context.getStore() ?? randomHex(32);
  return `00-${traceId}-${randomHex(16)}-01`;
}
