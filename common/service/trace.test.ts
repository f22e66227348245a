import { describe, expect, it } from '@jest/globals';

import { currentTraceId, currentTraceparent, withTrace } from './trace.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const known = `00-${traceId}-00f067aa0ba902b7-01`;

describe('withTrace', () => {
  it('goes on with a caller’s trace, through everything that is awaited', async () => {
    const inside = await withTrace(known, async () => {
      await Promise.resolve();
      return [currentTraceId(), currentTraceparent(), currentTraceparent()];
    });
    expect(inside[0]).toBe(traceId);
    expect(inside[1]).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    // Each call is a span of its own.
    expect(inside[1]).not.toBe(inside[2]);
    expect(currentTraceId()).toBeUndefined();
  });

  it.each([
    { name: 'there is no header', header: undefined },
    { name: 'it is empty', header: '' },
    { name: 'it is of another version', header: known.replace(/^00/, '01') },
    { name: 'its trace id is short', header: known.replace('4bf9', '') },
    { name: 'its trace id is zero', header: known.replace(traceId, '0'.repeat(32)) },
    { name: 'its span id is zero', header: known.replace('00f067aa0ba902b7', '0'.repeat(16)) },
    { name: 'it is not in lower case', header: known.toUpperCase() },
    { name: 'it has more to it', header: `${known}-more` },
  ])('begins a trace where $name', ({ header }) => {
    const id = withTrace(header, currentTraceId);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(id).not.toBe(traceId);
  });

  it('keeps an outer trace apart from an inner one', () => {
    withTrace(known, () => {
      expect(withTrace(undefined, currentTraceId)).not.toBe(traceId);
      expect(currentTraceId()).toBe(traceId);
    });
  });
});
