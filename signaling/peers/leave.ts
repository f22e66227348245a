import { setTimeout as sleep } from 'node:timers/promises';

import type { MediaNodeClient } from '../../common/clients/media-node.ts';
import type { SignalingClient } from '../../common/clients/signaling.ts';
import type {
  Ownership,
  PeerRow,
  PeersRepository,
  RemovedRow,
} from '../../common/db/repositories/peers.ts';
import { isApiError } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { SignalingConfig } from '../config.ts';
import type { Dispatcher } from '../fanout/dispatcher.ts';
import type { SignalingMetrics } from '../metrics.ts';
import type { Placements } from '../placement/placements.ts';

/** A connection that ends, or has ended. */
export interface Departure {
  mediaPeerId: string;
  roomName: string;
  peerId: string;
  /** Whether the others in the room know of it. */
  joined: boolean;
  /** The nodes that hold its objects. */
  nodeUrls: string[];
  /** Which owner of the session says so: a later one is left alone. Without it nobody is. */
  ownerEpoch?: number;
}

export interface LeaverDeps {
  config: Pick<SignalingConfig, 'leave'>;
  metrics: SignalingMetrics;
  logger: Logger;
  nodes: MediaNodeClient;
  hastyOthers: SignalingClient;
  peers: PeersRepository;
  placements: Placements;
  dispatcher: Dispatcher;
}

/** Ends connections in the tables, at the media nodes, and for the others in the room. */
export function createLeaver(deps: LeaverDeps) {
  const { config, metrics, logger, nodes, hastyOthers, peers, placements, dispatcher } = deps;
  const stop = new AbortController();
  const background = new Set<Promise<unknown>>();

  /** A node that can't be told closes by itself what it holds for connections that have no row. */
  async function closeAtNodes(
    { mediaPeerId, nodeUrls }: Departure,
    further: string[] = [],
  ): Promise<void> {
    await Promise.all(
      [...new Set([...nodeUrls, ...further])].map((url) =>
        nodes
          .deletePeer(url, mediaPeerId)
          .catch((error: unknown) =>
            logger.warn({ err: error, url, mediaPeerId }, 'a media node was not told of a leave'),
          ),
      ),
    );
  }

  /**
   * Tells the room, unless a newer connection of the same peer has taken this one's place: whoever replaced it has told,
   * and a late word would remove the newer one.
   */
  async function tellRoom(departure: Departure, removed: boolean): Promise<void> {
    if (!departure.joined) return;
    if (!removed && (await peers.find(departure.roomName, departure.peerId))) return;
    dispatcher.tellClosed(departure);
    await dispatcher.tellClosedElsewhere(departure);
  }

  const remove = ({ mediaPeerId, ownerEpoch }: Departure) => peers.remove(mediaPeerId, ownerEpoch);

  /** Does what Postgres could not take at once when it can. */
  async function retried(work: () => Promise<unknown>): Promise<void> {
    let pauseMs = config.leave.retryMinMs;
    while (!stop.signal.aborted) {
      await sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, config.leave.retryMaxMs);
      try {
        await work();
        return;
      } catch (error) {
        if (!isApiError(error, 'store_unavailable')) throw error;
      }
    }
  }

  function inBackground(work: Promise<unknown>): void {
    const task = work
      .catch((error: unknown) => logger.error({ err: error }, 'leave failed'))
      .finally(() => background.delete(task));
    background.add(task);
  }

  /**
   * The row goes first: a media node can write nothing for a connection without one, so what it closes afterwards is all
   * there is. While Postgres is away the nodes and the peers here are told at once, and the row is deleted when it is back.
   */
  async function leave(departure: Departure): Promise<void> {
    dispatcher.markEnded(departure.mediaPeerId);
    try {
      const { result, nodeUrls } = await remove(departure);
      if (result === 'other') return;
      await Promise.all([
        closeAtNodes(departure, nodeUrls),
        tellRoom(departure, result === 'removed'),
      ]);
      metrics.leaves.inc({ result: 'done' });
    } catch (error) {
      logger.warn({ err: error, mediaPeerId: departure.mediaPeerId }, 'leave goes on later');
      metrics.leaves.inc({ result: 'retried' });
      if (departure.joined) dispatcher.tellClosed(departure);
      inBackground(
        retried(async () => tellRoom(departure, (await remove(departure)).result === 'removed')),
      );
      await closeAtNodes(departure);
    }
  }

  const urlOf = (roomName: string, routerId: string | null): string[] => {
    const placement = routerId === null ? undefined : placements.router(roomName, routerId);
    return placement ? [placement.url] : [];
  };

  const departureOf = (row: PeerRow): Departure => ({
    mediaPeerId: row.id,
    roomName: row.roomId,
    peerId: row.peerId,
    joined: row.joinedAt !== null,
    nodeUrls: [
      ...urlOf(row.roomId, row.producerRouterId),
      ...urlOf(row.roomId, row.consumerRouterId),
    ],
  });

  return {
    /** Repeatable; what fails is logged, or tried again in the background. */
    leave,
    leaveRow: (row: PeerRow): Promise<void> => leave(departureOf(row)),

    /**
     * The same for a session that nobody owns in earnest. Of several replicas that find it one does it, and none when it
     * was taken over meanwhile.
     *
     * @throws {ApiError} `store_unavailable`
     */
    leaveUnowned: async (row: PeerRow): Promise<void> => {
      const { result, nodeUrls } = await peers.remove(row.id, row.ownerEpoch);
      if (result !== 'removed') return;
      const departure = departureOf(row);
      dispatcher.markEnded(row.id);
      await Promise.all([closeAtNodes(departure, nodeUrls), tellRoom(departure, true)]);
      metrics.leaves.inc({ result: 'done' });
    },

    /** Leaves a session to whoever resumes it. Repeatable; while Postgres is away it is tried in the background. */
    detach: async (owner: Ownership): Promise<void> => {
      try {
        await peers.detach(owner);
      } catch (error) {
        logger.warn({ err: error, mediaPeerId: owner.id }, 'detaching goes on later');
        inBackground(retried(() => peers.detach(owner)));
      }
    },

    /**
     * The rest of the leave of a connection whose row a newer one has replaced. Resolves when the room was told, so that
     * word of the newer one comes after it; a replica that does not answer is not waited for long.
     */
    async replaced(row: RemovedRow): Promise<void> {
      const departure = departureOf(row);
      dispatcher.markEnded(departure.mediaPeerId);
      inBackground(closeAtNodes(departure, row.nodeUrls));
      if (!departure.joined) return;
      dispatcher.tellClosed(departure);
      await dispatcher.tellClosedElsewhere(departure, hastyOthers);
    },

    /** Ends the retries, and waits for what is under way. */
    async close(): Promise<void> {
      stop.abort();
      await Promise.all(background);
    },
  };
}

export type Leaver = ReturnType<typeof createLeaver>;
