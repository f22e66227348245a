/** The longest time without a new frame that a page had around an event, in one stream that it watched. */
export interface StreamGap {
  /** What happened: a fault's name, or that of a pair. */
  kind: string;
  /** Counts the events of a run. */
  event: number;
  page: string;
  /** The peer whose video it is. */
  watched: string;
  ms: number;
  /** Whether the event took away what this stream came through. */
  hit: boolean;
}

export interface Percentiles {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

export interface GapSummary {
  kind: string;
  events: number;
  /** Over the pages whose streams were hit: for each event and page, its longest gap in those. */
  hit: Percentiles | undefined;
  /** Over all pages: for each event and page, its longest gap. */
  all: Percentiles | undefined;
}

/** The nearest-rank percentile of rising numbers. */
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;

/** Undefined for no numbers. */
export function percentilesOf(numbers: readonly number[]): Percentiles | undefined {
  if (numbers.length === 0) return undefined;
  const sorted = [...numbers].sort((a, b) => a - b);
  return {
    count: sorted.length,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
    max: percentile(sorted, 1),
  };
}

/** Each page's longest gap in each event. */
const longest = (gaps: readonly StreamGap[]): number[] =>
  [...Map.groupBy(gaps, ({ event, page }) => `${event} ${page}`).values()].map((ofPage) =>
    Math.max(...ofPage.map(({ ms }) => ms)),
  );

/** One summary for each kind of event, in the order in which they first came. */
export function summarize(gaps: readonly StreamGap[]): GapSummary[] {
  return [...Map.groupBy(gaps, ({ kind }) => kind)].map(([kind, ofKind]) => ({
    kind,
    events: new Set(ofKind.map(({ event }) => event)).size,
    hit: percentilesOf(longest(ofKind.filter(({ hit }) => hit))),
    all: percentilesOf(longest(ofKind)),
  }));
}
