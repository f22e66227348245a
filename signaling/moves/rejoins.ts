import type { MediaRoom } from '../../common/resources/types.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { LocalPeer } from '../peers/registry.ts';
import type { MoverDeps } from './mover.ts';
import { moveOf, type Problem } from './problem.ts';
import { directions } from './sides.ts';

interface Closing {
  problem: Problem;
  timer: NodeJS.Timeout;
}

const urgency = ({ lost, deadline = Infinity }: Problem): number => (lost ? 0 : deadline);

/** What is wrong with the side of a peer that can wait least. */
function worstOf(peer: LocalPeer, room: MediaRoom): Problem | undefined {
  const problems = directions.flatMap((direction) => {
    const picture = peer.sides?.picture(direction);
    return (picture && moveOf(picture, room)) ?? [];
  });
  return problems.sort((a, b) => urgency(a) - urgency(b))[0];
}

/**
 * Closes the peers that can't replace a transport, so that they join anew: spread out, where a side is lost at once, and
 * where its node drains not before the deadline, for such a client loses more by rejoining than the node by waiting. One
 * that has not joined has nothing to lose, and is closed at once.
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

  function close(peer: LocalPeer, { reason }: Problem): void {
    closings.delete(peer);
    metrics.moves.inc({ result: 'rejoined', reason });
    peer.close(closeCodes.moved, `${reason}: the peer has to move`);
  }

  /** Its place in the spread is drawn once, so that later looks at the same problem neither delay nor hasten it. */
  function plan(peer: LocalPeer, problem: Problem): void {
    const planned = closings.get(peer);
    if (planned?.problem.lost === problem.lost && planned.problem.deadline === problem.deadline)
      return;
    forget(peer);
    const draw = random() * config.moves.rejoinSpreadMs;
    const waitMs = problem.lost ? draw : (problem.deadline ?? Infinity) - draw - Date.now();
    if (waitMs === Infinity) return;
    const timer = setTimeout(() => close(peer, problem), Math.max(0, waitMs));
    closings.set(peer, { problem, timer });
  }

  return {
    consider(peer: LocalPeer, room: MediaRoom): void {
      const worst = worstOf(peer, room);
      if (!worst) forget(peer);
      else if (peer.stage === 'joined') plan(peer, worst);
      else close(peer, worst);
    },
    forget,
  };
}
