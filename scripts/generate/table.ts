/** Markdown tables of the generated references. */
export const code = (value: unknown): string =>
  `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

export const row = (...cells: string[]): string => `| ${cells.map(cell).join(' | ')} |`;

export const table = (header: string[], rows: string[][]): string[] => [
  row(...header),
  row(...header.map(() => '---')),
  ...rows.map((cells) => row(...cells)),
];

/** A type with its bounds, such as `integer ≥ 1 ≤ 100`. */
export const bounded = (type: string, least?: number, most?: number): string =>
  [type, least === undefined ? '' : `≥ ${least}`, most === undefined ? '' : `≤ ${most}`]
    .filter(Boolean)
    .join(' ');
