import { z } from 'zod';

const ms = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(`${what}, in milliseconds`);

/** When the audit looks, and what counts as a difference. */
export const auditConfig = z
  .strictObject({
    intervalMs: ms(
      60_000,
      'pause between two comparisons of the resources, the tables and the nodes',
    ),
    timeoutMs: ms(50_000, 'how long one of them may take'),
    maxHeapMiB: z
      .int()
      .min(16)
      .default(256)
      .describe('memory that one of them may use for rows and objects, in MiB'),
    graceMs: ms(30_000, 'how long a difference must last to count'),
    replicaSilentMs: ms(
      60_000,
      'silence from which a signaling replica in the tables counts as gone',
    ),
    detachedMs: ms(120_000, 'how long a peer without a socket may stay in the tables'),
  })
  .prefault({});
