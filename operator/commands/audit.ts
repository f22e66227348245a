import { ApiError } from '../../common/errors.ts';
import { auditPlatform, type AuditReport } from '../audit/audit.ts';
import { renderReport } from '../audit/render.ts';
import type { OperatorConfig } from '../config.ts';

type Options = Readonly<Partial<Record<'output' | 'grace', string>>>;

/** What the command exits with. */
const auditStatus = { same: 0, different: 1, notLooked: 2 } as const;

const renderers: Readonly<Record<string, (report: AuditReport) => string>> = {
  table: renderReport,
  json: (report) => JSON.stringify(report, null, 2),
};

/** @throws {ApiError} `invalid_request` */
function rendererOf(output: string): (report: AuditReport) => string {
  const renderer = Object.hasOwn(renderers, output) ? renderers[output] : undefined;
  if (renderer) return renderer;
  const known = Object.keys(renderers).join(' or ');
  throw new ApiError('invalid_request', `--output: expected ${known}, not "${output}"`);
}

/** @throws {ApiError} `invalid_request` */
function graceOf(seconds: string): number {
  if (/^\d{1,6}$/.test(seconds)) return Number(seconds) * 1000;
  throw new ApiError(
    'invalid_request',
    `--grace: expected a whole number of seconds, not "${seconds}"`,
  );
}

/**
 * Prints every difference between the custom resources, the session tables and the media nodes.
 *
 * @param options.output `table` (default) or `json`
 * @param options.grace seconds that a difference must last; default: `audit.graceMs` of the configuration
 * @returns the status to exit with: 0 none, 1 differences, 2 not everything could be looked at
 * @throws {ApiError} `invalid_request` for a wrong option, and without `database`
 */
export async function runAudit(
  config: OperatorConfig,
  { output = 'table', grace }: Options = {},
): Promise<number> {
  const render = rendererOf(output);
  const options = grace === undefined ? {} : { graceMs: graceOf(grace) };
  const report = await auditPlatform(config, options);
  process.stdout.write(`${render(report)}\n`);
  if (report.unreachable.length > 0) return auditStatus.notLooked;
  return report.differences.length > 0 ? auditStatus.different : auditStatus.same;
}
