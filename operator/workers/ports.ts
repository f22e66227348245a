import type { Pod } from '../cluster.ts';
import { portsAnnotation } from './labels.ts';

/** Ports from `start` to `end`, both included. */
export interface PortBlock {
  start: number;
  end: number;
}

export const formatBlock = ({ start, end }: PortBlock): string => `${start}-${end}`;

/** The block that a pod holds, for as long as the pod exists. */
export function blockOf(pod: Pod): PortBlock | undefined {
  const match = /^(\d+)-(\d+)$/.exec(pod.metadata.annotations?.[portsAnnotation] ?? '');
  return match ? { start: Number(match[1]), end: Number(match[2]) } : undefined;
}

/**
 * The first `size` ports in a row of the range that nobody holds.
 *
 * @returns undefined when there are none
 */
export function allocateBlock(
  range: PortBlock,
  size: number,
  taken: readonly PortBlock[],
): PortBlock | undefined {
  let start = range.start;
  for (const block of [...taken].sort((a, b) => a.start - b.start)) {
    if (block.end < start) continue;
    if (block.start >= start + size) break;
    start = block.end + 1;
  }
  const end = start + size - 1;
  return end <= range.end ? { start, end } : undefined;
}
