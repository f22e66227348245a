import { EventEmitter } from 'node:events';

import { newUuid } from './ids.ts';
import { time } from './time.ts';
import { toError } from './to-error.ts';

/**
 * mediasoup without media: its objects with what its documentation and its code say of their life. A call takes a moment in
 * the worker and another on its way back. Closing cascades at once on this side; what happens to a consumer through its
 * producer is told by the worker a moment later. What is made on a transport that is closed while its answer is on the way
 * stays open for good, and what a worker tells of an object that is not known here yet is lost, as in mediasoup.
 */
class WorkerClosedError extends Error {}
class NotFoundError extends Error {}

const latency = (): number => time.between(0, 3);

/** What a worker process knows to be open. */
type Living = Set<string>;

class Channel {
  readonly living: Living = new Set();
  closed = false;

  /** Runs in the worker, and answers. */
  request<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      time.schedule(latency(), () => {
        if (this.closed) {
          reject(new WorkerClosedError('the worker is closed'));
          return;
        }
        try {
          const answer = work();
          time.schedule(latency(), () => resolve(answer));
        } catch (error) {
          time.schedule(latency(), () => reject(toError(error)));
        }
      });
    });
  }

  /** Tells something, and waits for no answer. */
  notify(work: () => void): void {
    time.schedule(latency(), () => {
      if (!this.closed) work();
    });
  }

  require(id: string, what: string): void {
    if (!this.living.has(id)) throw new NotFoundError(`${what} not found`);
  }
}

/** What all objects have in common. */
abstract class Entity extends EventEmitter {
  readonly id = newUuid();
  readonly observer = new EventEmitter();
  readonly channel: Channel;
  readonly appData: Record<string, unknown>;
  closed = false;

  constructor(channel: Channel, appData: Record<string, unknown> = {}) {
    super();
    this.channel = channel;
    this.appData = appData;
    this.setMaxListeners(0);
    this.observer.setMaxListeners(0);
  }

  getStats(): Promise<object[]> {
    return this.channel.request(() => []);
  }

  /** @returns false when it was closed already */
  protected end(event?: string): boolean {
    if (this.closed) return false;
    this.closed = true;
    this.channel.notify(() => this.channel.living.delete(this.id));
    if (event) this.emit(event);
    this.emit('@close');
    this.observer.emit('close');
    return true;
  }
}

/** Producers and data producers. */
class SimulatedProducer extends Entity {
  readonly parameters: object;
  readonly kind: string | undefined;
  readonly score = [];
  paused: boolean;
  /** What the worker tells of it to those who consume it. */
  readonly worker = new EventEmitter();

  constructor(channel: Channel, parameters: ProduceOptions) {
    super(channel, parameters.appData);
    this.worker.setMaxListeners(0);
    this.parameters = parameters;
    this.kind = parameters.kind;
    this.paused = parameters.paused ?? false;
  }

  close(): void {
    if (this.end()) this.tellConsumers('close');
  }

  transportClosed(): void {
    if (this.end('transportclose')) this.tellConsumers('close');
  }

  async pause(): Promise<void> {
    await this.setPaused(true);
  }

  async resume(): Promise<void> {
    await this.setPaused(false);
  }

  private async setPaused(paused: boolean): Promise<void> {
    const event = paused ? 'pause' : 'resume';
    await this.channel.request(() => {
      this.channel.require(this.id, 'producer');
      this.worker.emit(event);
    });
    const changed = this.paused !== paused;
    this.paused = paused;
    if (changed) this.observer.emit(event);
  }

  private tellConsumers(event: string): void {
    this.channel.notify(() => this.worker.emit(event));
  }
}

interface ProduceOptions {
  kind?: string;
  rtpParameters?: object;
  sctpStreamParameters?: object;
  label?: string;
  protocol?: string;
  paused?: boolean;
  appData?: Record<string, unknown>;
}

/** Consumers and data consumers. */
class SimulatedConsumer extends Entity {
  readonly producer: SimulatedProducer;
  readonly kind: string | undefined;
  readonly type = 'simple';
  readonly score = { score: 10, producerScore: 10, producerScores: [] };
  readonly currentLayers = undefined;
  producerPaused: boolean;
  paused: boolean;

  constructor(channel: Channel, producer: SimulatedProducer, paused: boolean) {
    super(channel);
    this.producer = producer;
    this.kind = producer.kind;
    this.paused = paused;
    this.producerPaused = producer.paused;
    // From here on it hears of its producer; what the worker has told before is lost.
    const tell = (work: () => void) => () => time.schedule(latency(), work);
    const closed = producer.kind === undefined ? 'dataproducerclose' : 'producerclose';
    producer.worker.once(
      'close',
      tell(() => this.end(closed)),
    );
    producer.worker.on(
      'pause',
      tell(() => this.producerChanged(true)),
    );
    producer.worker.on(
      'resume',
      tell(() => this.producerChanged(false)),
    );
  }

  get producerId(): string {
    return this.producer.id;
  }
  get rtpParameters(): unknown {
    return (this.producer.parameters as ProduceOptions).rtpParameters;
  }
  get sctpStreamParameters(): unknown {
    return (this.producer.parameters as ProduceOptions).sctpStreamParameters;
  }
  get label(): string {
    return (this.producer.parameters as ProduceOptions).label ?? '';
  }
  get protocol(): string {
    return (this.producer.parameters as ProduceOptions).protocol ?? '';
  }

  close(): void {
    this.end();
  }

  transportClosed(): void {
    this.end('transportclose');
  }

  async pause(): Promise<void> {
    await this.channel.request(() => this.channel.require(this.id, 'consumer'));
    this.paused = true;
  }

  async resume(): Promise<void> {
    await this.channel.request(() => this.channel.require(this.id, 'consumer'));
    this.paused = false;
  }

  private producerChanged(paused: boolean): void {
    if (this.closed || this.producerPaused === paused) return;
    this.producerPaused = paused;
    this.emit(paused ? 'producerpause' : 'producerresume');
  }
}

let ports = 0;

/** Browser and pipe transports. */
class SimulatedTransport extends Entity {
  readonly type: 'webrtc' | 'pipe';
  readonly #router: SimulatedRouter;
  readonly #objects = new Set<SimulatedProducer | SimulatedConsumer>();
  #connected = false;
  readonly iceParameters = { usernameFragment: 'simulated', password: 'simulated' };
  readonly iceCandidates = [];
  readonly dtlsParameters = { fingerprints: [] };
  readonly sctpParameters = { port: 5000 };
  readonly srtpParameters = { cryptoSuite: 'AEAD_AES_256_GCM', keyBase64: 'simulated' };
  readonly tuple = { localAddress: '10.1.0.1', localPort: 40_000 + (ports++ % 20_000) };

  constructor(router: SimulatedRouter, type: 'webrtc' | 'pipe', appData?: Record<string, unknown>) {
    super(router.channel, appData);
    this.#router = router;
    this.type = type;
  }

  async connect(): Promise<void> {
    await this.channel.request(() => {
      this.channel.require(this.id, 'transport');
      if (this.#connected) throw new TypeError('connect() already called');
      this.#connected = true;
    });
  }

  async setMaxIncomingBitrate(): Promise<void> {
    await this.channel.request(() => this.channel.require(this.id, 'transport'));
  }

  async restartIce(): Promise<object> {
    return this.channel.request(() => this.iceParameters);
  }

  async produce(options: ProduceOptions): Promise<SimulatedProducer> {
    const producer = new SimulatedProducer(this.channel, options);
    await this.channel.request(() => {
      this.channel.require(this.id, 'transport');
      this.channel.living.add(producer.id);
      this.#router.workerProducers.set(producer.id, producer);
    });
    return this.#keep(producer);
  }

  produceData(options: ProduceOptions): Promise<SimulatedProducer> {
    return this.produce(options);
  }

  async consume(options: { producerId: string; paused?: boolean }): Promise<SimulatedConsumer> {
    const id = { producer: options.producerId };
    const made = await this.channel.request(() => {
      this.channel.require(this.id, 'transport');
      this.channel.require(id.producer, 'producer');
      const producer = this.#router.workerProducers.get(id.producer);
      if (!producer) throw new NotFoundError('producer not found');
      return { producer, producerPaused: producer.paused };
    });
    const consumer = new SimulatedConsumer(this.channel, made.producer, options.paused ?? false);
    consumer.producerPaused = made.producerPaused;
    this.channel.living.add(consumer.id);
    return this.#keep(consumer);
  }

  consumeData({ dataProducerId }: { dataProducerId: string }): Promise<SimulatedConsumer> {
    return this.consume({ producerId: dataProducerId });
  }

  close(): void {
    if (this.#closeAll()) this.end();
  }

  routerClosed(): void {
    if (this.#closeAll()) this.end('routerclose');
  }

  /** A client that is gone for good. */
  loseIce(): void {
    if (!this.closed) this.emit('icestatechange', 'disconnected');
  }

  #closeAll(): boolean {
    if (this.closed) return false;
    // It counts as closed for those who hear of what closes with it.
    this.closed = true;
    for (const object of [...this.#objects]) object.transportClosed();
    this.closed = false;
    return true;
  }

  #keep<T extends SimulatedProducer | SimulatedConsumer>(object: T): T {
    this.#objects.add(object);
    objects.add(object);
    object.once('@close', () => {
      this.#objects.delete(object);
      objects.delete(object);
    });
    return object;
  }
}

/** Volumes are no part of the simulation. */
class SilentObserver extends Entity {
  addProducer(): Promise<void> {
    return this.channel.request(() => undefined);
  }
}

class SimulatedRouter extends Entity {
  readonly rtpCapabilities = {
    codecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 }],
  };
  /** As the worker has them. */
  readonly workerProducers = new Map<string, SimulatedProducer>();
  readonly #transports = new Set<SimulatedTransport>();

  canConsume({ producerId }: { producerId: string }): boolean {
    return this.workerProducers.get(producerId)?.closed === false;
  }

  createWebRtcTransport(options: { appData?: Record<string, unknown> }) {
    return this.#make('webrtc', options.appData);
  }

  createPipeTransport() {
    return this.#make('pipe');
  }

  createAudioLevelObserver(): Promise<SilentObserver> {
    return this.channel.request(() => new SilentObserver(this.channel));
  }

  createActiveSpeakerObserver(): Promise<SilentObserver> {
    return this.channel.request(() => new SilentObserver(this.channel));
  }

  close(): void {
    this.#close();
  }

  workerClosed(): void {
    this.#close('workerclose');
  }

  #close(event?: string): void {
    if (this.closed) return;
    this.closed = true;
    for (const transport of [...this.#transports]) transport.routerClosed();
    this.closed = false;
    this.end(event);
  }

  async #make(
    type: 'webrtc' | 'pipe',
    appData?: Record<string, unknown>,
  ): Promise<SimulatedTransport> {
    const transport = new SimulatedTransport(this, type, appData);
    await this.channel.request(() => {
      this.channel.require(this.id, 'router');
      this.channel.living.add(transport.id);
    });
    this.#transports.add(transport);
    objects.add(transport);
    transport.once('@close', () => {
      this.#transports.delete(transport);
      objects.delete(transport);
    });
    return transport;
  }
}

let pids = 1;

export class SimulatedWorker extends Entity {
  readonly pid = pids++;
  readonly #routers = new Set<SimulatedRouter>();
  subprocessClosed = false;

  constructor() {
    super(new Channel());
  }

  createWebRtcServer(): Promise<object> {
    return this.channel.request(() => ({}));
  }

  getResourceUsage(): Promise<object> {
    return this.channel.request(() => ({ ru_utime: 0, ru_stime: 0 }));
  }

  async createRouter(): Promise<SimulatedRouter> {
    const router = new SimulatedRouter(this.channel);
    await this.channel.request(() => this.channel.living.add(router.id));
    this.#routers.add(router);
    objects.add(router);
    router.once('@close', () => {
      this.#routers.delete(router);
      objects.delete(router);
    });
    return router;
  }

  /** Its process has crashed. */
  die(): void {
    if (this.closed) return;
    this.#end();
    this.emit('died', new Error('the worker has died'));
  }

  close(): void {
    this.#end();
  }

  #end(): void {
    if (this.closed) return;
    this.subprocessClosed = true;
    this.channel.closed = true;
    for (const router of [...this.#routers]) router.workerClosed();
    this.end();
  }
}

export type { SimulatedTransport };
export type SimulatedObject =
  SimulatedRouter | SimulatedTransport | SimulatedProducer | SimulatedConsumer;

/** All that is open, of all workers. */
const objects = new Set<SimulatedObject>();

/** Everything that is open in these workers. */
export function openObjects(workers: readonly SimulatedWorker[]): SimulatedObject[] {
  const channels = new Set(workers.map(({ channel }) => channel));
  return [...objects].filter(({ channel }) => channels.has(channel));
}

/** Forgets all objects, for the next schedule. */
export function forgetObjects(): void {
  objects.clear();
}

/** In the place of mediasoup's own. */
export const mediasoup = {
  createWorker: (): Promise<SimulatedWorker> => {
    const worker = new SimulatedWorker();
    return worker.createWebRtcServer().then(() => worker);
  },
  errors: { WorkerClosedError, NotFoundError },
};
