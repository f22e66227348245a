import { randomUUID } from 'node:crypto';

import type { SignalingClient } from '../../common/clients/signaling.ts';
import type { PeersRepository } from '../../common/db/repositories/peers.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';
import type { MessageBatch, RoutedMessage } from '../../common/wire/signaling.ts';
import type { SignalingConfig } from '../config.ts';
import type { SignalingMetrics } from '../metrics.ts';
import type { LocalPeer, Registry } from '../peers/registry.ts';
import { RecentSet } from './recent-set.ts';
import { createVolumeMerger } from './volumes.ts';

export interface DispatcherDeps {
  config: Pick<SignalingConfig, 'fanout'>;
  metrics: SignalingMetrics;
  logger: Logger;
  registry: Registry;
  peers: PeersRepository;
  others: SignalingClient;
  /** A media node has lost something of a peer that is here. */
  onLost: (peer: LocalPeer, lost: LostPeer) => void;
  /** The id of this replica's row at the moment. */
  ownId: () => string;
}

export type LostPeer = MessageBatch['lostPeers'][number];

/** Which connection of which peer ended. */
interface Ended {
  mediaPeerId: string;
  roomName: string;
  peerId: string;
}

/** Brings messages to the peers that they are for: those of this replica directly, others through their replicas. */
export function createDispatcher(deps: DispatcherDeps) {
  const { config, metrics, logger, registry, peers, others, onLost, ownId } = deps;
  const seen = new RecentSet(config.fanout.batchMemory);
  const volumes = createVolumeMerger(config.fanout);
  const ended = new RecentSet(config.fanout.endedPeers);

  /** Nobody is told of its own end: it is the word about an earlier connection of the same peer. */
  const isOwnEnd = ({ peerId }: LocalPeer, message: PeerMessage): boolean =>
    message.method === 'peerClosed' && message.data.peerId === peerId;

  /** Tells every peer of the room on this replica. */
  function tellLocal(roomName: string, message: PeerMessage, exceptMediaPeerId?: string): void {
    for (const peer of registry.inRoom(roomName))
      if (peer.inRoom && peer.mediaPeerId !== exceptMediaPeerId && !isOwnEnd(peer, message))
        peer.deliver(message);
  }

  /** Word of a peer's arrival may come after that of its end, which has another way. */
  function isGhost({ message, aboutMediaPeerId: about }: RoutedMessage): boolean {
    if (about === undefined) return false;
    if (message.method === 'peerClosed') ended.add(about);
    return message.method === 'newPeer' && ended.has(about);
  }

  function route(routed: RoutedMessage): void {
    if (isGhost(routed)) return;
    const { to, message } = routed;
    if ('roomId' in to) tellLocal(to.roomId, message, to.exceptMediaPeerId);
    else for (const id of to.mediaPeerIds) registry.get(id)?.deliver(message);
  }

  /** Tells the peers of the room on the other replicas, with one request for each of those. */
  async function tellOthers(
    roomName: string,
    word: Omit<RoutedMessage, 'to'>,
    by = others,
  ): Promise<void> {
    const replicas = await peers.replicasOfRoom(roomName);
    await Promise.all(
      replicas
        .filter(({ id }) => id !== ownId())
        .map(({ url }) =>
          by
            .postMessages(url, {
              batchId: randomUUID(),
              messages: [{ to: { roomId: roomName }, ...word }],
            })
            .catch((error: unknown) =>
              logger.warn(
                { err: error, url, method: word.message.method },
                'a replica was not told',
              ),
            ),
        ),
    );
  }

  const closedMessage = (peerId: string): PeerMessage => ({
    method: 'peerClosed',
    data: { peerId },
  });

  return {
    /** A connection has ended: late word of its arrival is dropped from now on. */
    markEnded: (mediaPeerId: string): void => {
      ended.add(mediaPeerId);
    },

    /** Tells the peers of the room here that this one has left. */
    tellClosed: ({ roomName, peerId }: Ended): void => tellLocal(roomName, closedMessage(peerId)),

    /** The same for the peers on the other replicas. */
    tellClosedElsewhere: ({ roomName, peerId, mediaPeerId }: Ended, by = others): Promise<void> =>
      tellOthers(roomName, { message: closedMessage(peerId), aboutMediaPeerId: mediaPeerId }, by),

    /** Forgets what it knows of a room that has no peer here any more. */
    forgetRoom: (roomName: string): void => volumes.forget(roomName),

    /** Everything that a media node or another replica has for this replica's peers. A repeated batch does nothing. */
    handle(batch: MessageBatch): void {
      if (!seen.add(batch.batchId)) {
        metrics.batches.inc({ result: 'repeated' });
        return;
      }
      metrics.batches.inc({ result: 'delivered' });
      for (const message of batch.messages) route(message);
      for (const report of batch.volumes) {
        const present = registry.inRoom(report.roomId).length > 0;
        if (present)
          for (const message of volumes.report(report)) tellLocal(report.roomId, message);
        else volumes.forget(report.roomId);
      }
      for (const lost of batch.lostPeers) {
        const peer = registry.get(lost.mediaPeerId);
        if (peer) onLost(peer, lost);
      }
    },
  };
}

export type Dispatcher = ReturnType<typeof createDispatcher>;
