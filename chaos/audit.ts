import { auditPlatform } from '../operator/audit/audit.ts';
import type { OperatorConfig } from '../operator/config.ts';
import { until } from '../testing/until.ts';

/** How long collectors may take until no difference is left, in milliseconds, and how long one has to last to count. */
const settle = { timeoutMs: 120_000, intervalMs: 1000, graceMs: 2000 };

/**
 * Compares resources, tables and media nodes until they are the same.
 *
 * @throws Error naming what stays different or can't be looked at
 */
export async function auditUntilSame(config: OperatorConfig): Promise<void> {
  await until(
    'the audit to find no difference',
    async () => {
      const { graceMs } = settle;
      const { differences, unreachable } = await auditPlatform(config, { graceMs });
      const found = [
        ...unreachable.map(({ place, reason }) => `${place}: ${reason}`),
        ...differences.map(
          ({ kind, ids, foundIn, missingFrom }) =>
            `${kind} ${JSON.stringify(ids)}, found in ${foundIn.join(', ')}, missing from ${missingFrom.join(', ')}`,
        ),
      ];
      if (found.length > 0) throw new Error(found.join('; '));
      return true;
    },
    settle,
  );
}
