import type { AuditReport } from './audit.ts';
import type { Compared } from './examine.ts';
import type { Difference } from './tracker.ts';

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

const headings = ['KIND', 'SEVERITY', 'AGE', 'WHAT', 'FOUND IN', 'MISSING FROM', 'COLLECTED BY'];

const cellsOf = (difference: Difference): string[] => {
  const { kind, severity, ageMs, ids, foundIn, missingFrom } = difference;
  const { collector, collectedAfterMs, overdue } = difference;
  const within = collectedAfterMs === undefined ? '' : `, within ${seconds(collectedAfterMs)}`;
  return [
    kind,
    severity,
    seconds(ageMs),
    Object.entries(ids)
      .map(([name, id]) => `${name}=${id}`)
      .join(' '),
    foundIn.join('; '),
    missingFrom.join('; '),
    `${collector}${within}${overdue ? ' (overdue)' : ''}`,
  ];
};

function table(rows: readonly string[][]): string[] {
  const widths = headings.map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? '').length)),
  );
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
}

const sizeOf = ({ rooms, nodes, peers, rows, objects }: Compared): string =>
  `compared ${rooms} rooms, ${nodes} media nodes, ${peers} peers, ${rows} rows and ${objects} live objects`;

/** A report for a person, in lines. */
export function renderReport({ differences, unreachable, compared }: AuditReport): string {
  const count = differences.length === 1 ? '1 difference' : `${differences.length} differences`;
  return [
    ...(differences.length > 0 ? table([headings, ...differences.map(cellsOf)]) : []),
    ...unreachable.map(({ place, reason }) => `could not look at ${place}: ${reason}`),
    `${differences.length > 0 ? count : 'no differences'}; ${sizeOf(compared)}`,
  ].join('\n');
}
