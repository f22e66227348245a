import { formatLayers, spatialLayerForHeight } from './layers.ts';
import type { Layers, RoomState } from './state.ts';
import type { Store } from './store.ts';

/**
 * Asks for the layers of each layered consumer: those that the person chose, else the lowest that looks sharp at the
 * size it is drawn in. A small picture in a full grid then costs neither the server nor the browser a large one.
 */
export class LayerChooser {
  readonly #store: Store<RoomState>;
  readonly #ask: (consumerId: string, layers: Layers) => void;
  readonly #heights = new Map<string, number>();
  /** What was asked last, so that a resize that changes nothing costs no message. */
  readonly #asked = new Map<string, string>();

  constructor(store: Store<RoomState>, ask: (consumerId: string, layers: Layers) => void) {
    this.#store = store;
    this.#ask = ask;
  }

  setHeight(consumerId: string, height: number): void {
    this.#heights.set(consumerId, height);
    this.choose(consumerId);
  }

  choose(consumerId: string): void {
    const consumer = this.#store.get().consumers.find(({ id }) => id === consumerId);
    if (!consumer || consumer.type === 'simple') return;
    const { preferred, spatialLayers, temporalLayers } = consumer;
    const layers = preferred ?? {
      spatialLayer: spatialLayerForHeight(
        this.#heights.get(consumerId) ?? Number.POSITIVE_INFINITY,
        spatialLayers,
      ),
      temporalLayer: temporalLayers - 1,
    };
    const key = formatLayers(layers);
    if (this.#asked.get(consumerId) === key) return;
    this.#asked.set(consumerId, key);
    this.#ask(consumerId, layers);
  }

  forget(consumerId: string): void {
    this.#heights.delete(consumerId);
    this.#asked.delete(consumerId);
  }

  clear(): void {
    this.#heights.clear();
    this.#asked.clear();
  }
}
