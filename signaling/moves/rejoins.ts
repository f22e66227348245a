import type { MediaRoom } from '../../common/resources/types.ts';
import type { Direction } from '../../common/wire/peer.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { LocalPeer } from '../peers/registry.ts';
import { hasPlace } from '../placement/placements.ts';
import type { MoverDeps } from './mover.ts';
import { moveOf, type Problem } from './problem.ts';
import { directions } from './sides.ts';

interface Closing {
  at: number;
  /** Whether its place in the spread is drawn: later looks must not draw again. */
  isDrawn: boolean;
  timer: NodeJS.Timeout;
}

type Due = Problem & { direction: Direction };

/** The problems of a peer's sides, that of a lost one first. */
function problemsOf(peer: LocalPeer, room: MediaRoom): Due[] {
  const found = directions.flatMap((direction) => {
    const picture = peer.sides?.picture(direction);
    const problem = picture && moveOf(picture, room);
    return problem ? [{ ...problem, direction }] : [];
  });
  return found.sort((a, b) => Number(b.lost) - Number(a.lost));
}

/**
 * Closes the peers that can't replace a transport, so that they join anew: where a side is lost, or drains and has
 * another place, spread out; at the drain's deadline in any case. One that has not joined has nothing to lose, and is
 * closed at once.
 */
export function createRejoins(
  deps: Pick<MoverDeps, 'config' | 'metrics'> & { random: () => number },
) {
  const { config, metrics, random } = deps;
  const closings = new Map<LocalPeer, Closing>();

  function forget(peer: LocalPeer): void {
    clearTimeout(closings.get(peer)?.timer);
    closings.delete(peer);
  }

  function closeAt(peer: LocalPeer, at: number, { reason }: Due, isDrawn: boolean): void {
    const planned = closings.get(peer);
    if (planned && planned.at <= at) {
      planned.isDrawn ||= isDrawn;
      return;
    }
    clearTimeout(planned?.timer);
    const close = (): void => {
      closings.delete(peer);
      metrics.moves.inc({ result: 'rejoined', reason });
      peer.close(closeCodes.moved, `${reason}: the peer has to move`);
    };
    closings.set(peer, { at, isDrawn, timer: setTimeout(close, Math.max(0, at - Date.now())) });
  }

  return {
    consider(peer: LocalPeer, room: MediaRoom): void {
      const problems = problemsOf(peer, room);
      const [worst] = problems;
      if (!worst) {
        forget(peer);
        return;
      }
      const now = Date.now();
      const canMove = worst.lost || problems.every(({ direction }) => hasPlace(room, direction));
      if (peer.stage !== 'joined') closeAt(peer, now, worst, true);
      else if (canMove && closings.get(peer)?.isDrawn !== true)
        closeAt(peer, now + random() * config.moves.rejoinSpreadMs, worst, true);
      for (const problem of problems)
        if (problem.deadline !== undefined) closeAt(peer, problem.deadline, problem, false);
    },
    forget,
  };
}
