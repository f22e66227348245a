import type { MediaRepository } from '../../common/db/repositories/media.ts';

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
    const entry = this.#rooms.get(roomId) ?? { urls: [], readAt: 0 };
    this.#rooms.set(roomId, entry);
    if (Date.now() - entry.readAt < this.#cacheMs) return entry.urls;
    entry.reading ??= this.#read(roomId, entry).finally(() => delete entry.reading);
    return entry.reading;
  }

  forget(roomId: string): void {
    this.#rooms.delete(roomId);
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
