import type { NodeContext } from '../context.ts';
import type { LiveRouter } from '../mediasoup/objects.ts';

/**
 * Watches who speaks on a router that peers publish to. Each router reports its own; the signaling service merges those
 * of a room.
 */
export async function observeVolumes(ctx: NodeContext, live: LiveRouter): Promise<LiveRouter> {
  const { intervalMs, thresholdDb, maxEntries } = ctx.config.audioLevels;
  const audioLevels = await live.router.createAudioLevelObserver({
    interval: intervalMs,
    threshold: thresholdDb,
    maxEntries,
  });
  const activeSpeaker = await live.router.createActiveSpeakerObserver();
  let activePeerId: string | undefined;
  let volumes: { peerId: string; volume: number }[] = [];

  const report = (): void => {
    const { roomId, id: routerId } = live;
    const message = {
      roomId,
      routerId,
      peerVolumes: volumes,
      ...(activePeerId === undefined ? {} : { activePeerId }),
    };
    ctx.background('volumes', async () => {
      for (const url of await ctx.replicas.of(roomId)) ctx.outbox.sendVolumes(url, message);
    });
  };
  const peerIdOf = (producerId: string): string | undefined => live.sources.get(producerId)?.peerId;

  audioLevels.on('volumes', (entries) => {
    volumes = entries.flatMap(({ producer, volume }) => {
      const peerId = peerIdOf(producer.id);
      return peerId === undefined ? [] : [{ peerId, volume }];
    });
    report();
  });
  audioLevels.on('silence', () => {
    volumes = [];
    activePeerId = undefined;
    report();
  });
  activeSpeaker.on('dominantspeaker', ({ producer }) => {
    activePeerId = peerIdOf(producer.id);
    report();
  });
  return { ...live, audioLevels, activeSpeaker };
}
