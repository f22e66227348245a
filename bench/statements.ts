import type { Statement } from './statement-log.ts';

/** A statement without its values, so that the same one is recognised. */
const normalise = ({ text }: Statement): string =>
  text
    .replaceAll(/\$\d+(, ?\$\d+)*/g, '$n')
    .replaceAll(/\(\$n\)(, ?\(\$n\))+/g, '($n)')
    .replaceAll(/'[^']*'/g, "'…'");

const begins = ({ text }: Statement): boolean => /^begin\b/i.test(text);
const ends = ({ text }: Statement): boolean => /^(commit|rollback)\b(?! to)/i.test(text);

/** The transactions of each connection with their brackets; a statement outside of one stands alone. */
function transactions(statements: readonly Statement[]): Statement[][] {
  const groups: Statement[][] = [];
  const open = new Map<string, Statement[]>();
  for (const statement of statements) {
    const { backend } = statement;
    const running = open.get(backend);
    if (running) running.push(statement);
    else {
      const group = [statement];
      groups.push(group);
      if (begins(statement)) open.set(backend, group);
    }
    if (ends(statement)) open.delete(backend);
  }
  return groups;
}

/**
 * Leaves out what also runs when nothing happens: statements that `idle` has too, and transactions of nothing else. The
 * brackets of a transaction go with what is in it.
 */
export function withoutBackground(
  statements: readonly Statement[],
  idle: readonly Statement[],
): Statement[] {
  const background = new Set(idle.map(normalise));
  return transactions(statements).flatMap((group) => {
    const inner = group.filter((each) => !begins(each) && !ends(each));
    return inner.every((each) => background.has(normalise(each))) ? [] : group;
  });
}

/** How often each statement ran, one line for each. */
export function tally(statements: readonly Statement[]): string[] {
  const counts = new Map<string, number>();
  for (const statement of statements) {
    const text = normalise(statement);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => `${count} × ${text.slice(0, 160)}`);
}
