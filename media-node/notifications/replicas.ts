import type { MediaRepository } from '../../common/db/repositories/media.ts';
import { limitSize } from '../limit-size.ts';

/** A late word about a room that is gone makes an entry that nobody forgets. */
const maxRooms = 10_000;

interface Entry {
  urls: string[];
  readAt: number;
  reading?: Promise<string[]>;
}

/**
 * Which signaling replicas hold a room's peers, from the table with a short cache. While the store is away the last
 * answer is used.
 */
export class RoomReplicas {
  readonly #repository: Pick<MediaRepository, 'replicasOfRoom'>;
  readonly #cacheMs: number;
  readonly #rooms = new Map<string, Entry>();

  constructor(repository: Pick<MediaRepository, 'replicasOfRoom'>, cacheMs: number) {
    this.#repository = repository;
    this.#cacheMs = cacheMs;
  }

  async of(roomId: string): Promise<string[]> {
    const entry = this.#entry(roomId);
    if (Date.now() - entry.readAt < this.#cacheMs) return entry.urls;
    entry.reading ??= this.#read(roomId, entry).finally(() => delete entry.reading);
    return entry.reading;
  }

  /** As the table says now: for what is said once, which a replica with a new peer must not miss. */
  now(roomId: string): Promise<string[]> {
    return this.#read(roomId, this.#entry(roomId));
  }

  forget(roomId: string): void {
    this.#rooms.delete(roomId);
  }

  #entry(roomId: string): Entry {
    const known = this.#rooms.get(roomId);
    if (known) return known;
    const entry = { urls: [], readAt: 0 };
    this.#rooms.set(roomId, entry);
    limitSize(this.#rooms, maxRooms);
    return entry;
  }

  async #read(roomId: string, entry: Entry): Promise<string[]> {
    try {
      entry.urls = await this.#repository.replicasOfRoom(roomId);
    } catch {
      // The store is away: the old list is better than silence.
    }
    entry.readAt = Date.now();
    return entry.urls;
  }
}
