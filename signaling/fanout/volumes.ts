import type { PeerMessage } from '../../common/wire/peer.ts';
import type { RouterVolumes } from '../../common/wire/signaling.ts';

export interface VolumesConfig {
  volumeTtlMs: number;
  maxSpeakers: number;
}

interface Report {
  at: number;
  volumes: RouterVolumes;
}

interface RoomVolumes {
  reports: Map<string, Report>;
  /** What the room was told last, so that silence and an unchanged speaker are told once. */
  silent: boolean;
  activePeerId: string | undefined;
}

type SpeakingPeer = RouterVolumes['peerVolumes'][number];

const loudestFirst = (a: SpeakingPeer, b: SpeakingPeer): number => b.volume - a.volume;

/** The loudest of the routers' own active speakers. */
function activeOf(reports: Report[]): SpeakingPeer | undefined {
  return reports
    .flatMap(({ volumes: { activePeerId, peerVolumes } }) =>
      activePeerId === undefined
        ? []
        : [
            peerVolumes.find(({ peerId }) => peerId === activePeerId) ?? {
              peerId: activePeerId,
              // Not among those that speak: quieter than all of them.
              volume: -127,
            },
          ],
    )
    .sort(loudestFirst)[0];
}

/** Merges the volumes that each producer router of a room reports on its own. */
export function createVolumeMerger(config: VolumesConfig, now: () => number = Date.now) {
  const rooms = new Map<string, RoomVolumes>();

  function current(room: RoomVolumes): Report[] {
    const oldest = now() - config.volumeTtlMs;
    for (const [routerId, { at }] of room.reports) if (at < oldest) room.reports.delete(routerId);
    return [...room.reports.values()];
  }

  return {
    /** Takes a router's report. @returns what the room is to be told */
    report(volumes: RouterVolumes): PeerMessage[] {
      const room = rooms.get(volumes.roomId) ?? {
        reports: new Map<string, Report>(),
        silent: true,
        activePeerId: undefined,
      };
      rooms.set(volumes.roomId, room);
      room.reports.set(volumes.routerId, { at: now(), volumes });
      const reports = current(room);
      const peerVolumes = reports
        .flatMap((report) => report.volumes.peerVolumes)
        .sort(loudestFirst)
        .slice(0, config.maxSpeakers);
      const messages: PeerMessage[] = [];
      const silent = peerVolumes.length === 0;
      if (!silent || !room.silent)
        messages.push({ method: 'speakingPeers', data: { peerVolumes } });
      room.silent = silent;
      const active = activeOf(reports);
      if (active?.peerId !== room.activePeerId)
        messages.push({ method: 'activeSpeaker', data: active ?? {} });
      room.activePeerId = active?.peerId;
      return messages;
    },

    /** Forgets a room that has no peer here any more. */
    forget(roomId: string): void {
      rooms.delete(roomId);
    },
  };
}
