import { infoOf, type Finding, type Limits } from './kinds.ts';

/** A finding that more than one look has shown. */
export interface Difference extends Finding {
  severity: 'critical' | 'warning';
  /** For how long the looks have shown it, in milliseconds; it may be older. */
  ageMs: number;
  /** Who puts it right. */
  collector: string;
  /** After how long at most, in milliseconds; left out where nobody can say. */
  collectedAfterMs?: number;
  /** It has lasted for longer than that. */
  overdue: boolean;
}

const keyOf = ({ kind, ids }: Finding): string => `${kind} ${Object.entries(ids).sort().join(' ')}`;

/** Tells what lasts from what was in the making at the moment of a look. */
export class DifferenceTracker {
  readonly #graceMs: number;
  #firstSeen: ReadonlyMap<string, number> = new Map();

  /** @param graceMs how far apart two looks that show a difference must be, in milliseconds; 0: one look is enough */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /**
   * Takes a look's findings, all that there are.
   *
   * @param at when the look was taken, in milliseconds
   * @returns those that count
   */
  note(findings: readonly Finding[], at: number, limits: Limits): Difference[] {
    const before = this.#firstSeen;
    this.#firstSeen = new Map(
      findings.map((finding) => [keyOf(finding), before.get(keyOf(finding)) ?? at]),
    );
    return findings
      .map((finding) => this.#describe(finding, at, limits))
      .filter(({ ageMs }) => ageMs >= this.#graceMs)
      .sort((a, b) => a.severity.localeCompare(b.severity) || b.ageMs - a.ageMs);
  }

  #describe(finding: Finding, at: number, limits: Limits): Difference {
    const { severity, collector, after } = infoOf(finding.kind);
    const ageMs = at - (this.#firstSeen.get(keyOf(finding)) ?? at);
    const collectedAfterMs = after?.(limits);
    return {
      ...finding,
      ...{ severity, ageMs, collector },
      ...(collectedAfterMs === undefined ? {} : { collectedAfterMs }),
      overdue: collectedAfterMs !== undefined && ageMs > collectedAfterMs,
    };
  }
}
