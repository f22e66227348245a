import type { NodeStatus } from '../../common/wire/media-node.ts';

/**
 * Routers in use whose worker has filled up since the node's last answer: their rooms may have to grow.
 *
 * @param fullAt consumers from which a worker counts as full
 */
export function filledRouters(
  before: NodeStatus | undefined,
  now: NodeStatus | undefined,
  fullAt: number,
): string[] {
  const wasFull = new Set(before?.workers.filter(isFull(fullAt)).map(({ index }) => index));
  const filled = new Set(
    now?.workers
      .filter(isFull(fullAt))
      .map(({ index }) => index)
      .filter((index) => !wasFull.has(index)),
  );
  if (filled.size === 0) return [];
  return (now?.routers ?? [])
    .filter(({ workerIndex, peers }) => peers > 0 && filled.has(workerIndex))
    .map(({ routerId }) => routerId);
}

const isFull =
  (fullAt: number) =>
  ({ consumers }: NodeStatus['workers'][number]): boolean =>
    consumers >= fullAt;
