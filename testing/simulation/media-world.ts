import type { Consumer } from 'mediasoup/types';
import { pino } from 'pino';

import { parseOrThrow } from '../../common/validate.ts';
import { messageBatch } from '../../common/wire/signaling.ts';
import type { NodeRole } from '../../common/wire/media-node.ts';
import { mediaNodeConfig, type MediaNodeConfig } from '../../media-node/config.ts';
import { createMediaNodeMetrics } from '../../media-node/metrics.ts';
import { beginUuids, newUuid } from './ids.ts';
import { SimulatedPerson, type Place } from './media-client.ts';
import { SimulatedMediaNode, simulatedClient } from './media-process.ts';
import { SimulatedStore } from './media-store.ts';
import { forgetObjects } from './mediasoup.ts';
import { SimulatedNetwork } from './network.ts';
import { SimulatedProcess } from './process.ts';
import { time } from './time.ts';

const metrics = createMediaNodeMetrics();
const replicaUrl = 'http://signaling:1';
const orphanGraceMs = 10_000;

/** The media node's own times, but those that only make a schedule longer. */
const configOf = (podName: string, role: NodeRole, url: string): MediaNodeConfig =>
  mediaNodeConfig.parse({
    serviceAuth: { secret: 'a secret of the tests, long enough' },
    instance: { podName, pool: 'pool', role },
    listen: { port: 1 },
    advertiseUrl: url,
    rtc: { portStart: 40_000, workers: 1, cpuSampleMs: 60_000 },
    pipes: { idleMs: 4_000, stateMaxRetryMs: 1_000, demandIntervalMs: 2_000, lostAfterMs: 8_000 },
    sweep: { intervalMs: 3_000, graceMs: 4_000, refusedMs: 6_000 },
    notifications: { maxRetryMs: 1_000, maxAgeMs: 10_000 },
    registration: { maxRetryMs: 2_000 },
    httpClient: { timeoutMs: 2_000, retries: 1 },
    database: { url: 'postgres://nowhere/none' },
  });

/** The client of a person tries again by itself. */
const withoutRetries = (config: MediaNodeConfig): MediaNodeConfig => ({
  ...config,
  httpClient: { ...config.httpClient, retries: 0 },
});

interface Slot {
  podName: string;
  role: NodeRole;
  url: string;
  node: SimulatedMediaNode | undefined;
}

/** A router that a room should have. */
interface Wanted {
  roomId: string;
  direction: 'producer' | 'consumer';
  slot: string;
  /** What was made last; absent: to be made. */
  made?: { routerId: string; instanceId: string } | undefined;
}

export const podNames = ['p', 'c', 'd'] as const;

/** Media nodes with their own code, on workers, tables and network in memory; the rest of the platform is as short as can be. */
export class SimulatedMediaWorld {
  readonly network = new SimulatedNetwork();
  readonly store = new SimulatedStore();
  readonly people = new Map<string, SimulatedPerson>();
  readonly bugs: string[] = [];
  readonly #slots: Slot[] = [
    { podName: 'p', role: 'Both', url: 'http://p:7000', node: undefined },
    { podName: 'c', role: 'Consumer', url: 'http://c:7000', node: undefined },
    { podName: 'd', role: 'Both', url: 'http://d:7000', node: undefined },
  ];
  readonly #wanted: Wanted[] = [
    { roomId: 'red', direction: 'producer', slot: 'p' },
    { roomId: 'red', direction: 'consumer', slot: 'c' },
    { roomId: 'red', direction: 'producer', slot: 'd' },
    { roomId: 'red', direction: 'consumer', slot: 'd' },
    { roomId: 'blue', direction: 'producer', slot: 'd' },
    { roomId: 'blue', direction: 'consumer', slot: 'p' },
  ];
  readonly #signaling = new SimulatedProcess('signaling');
  readonly #operator = new SimulatedProcess('operator');
  readonly #logger = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
  readonly #config = configOf('signaling', 'Both', replicaUrl);
  readonly #batches = new Set<string>();
  readonly #clients;

  constructor() {
    beginUuids();
    forgetObjects();
    globalThis.fetch = this.network.fetch as unknown as typeof fetch;
    this.#logger.error = ((about: { err?: unknown }, text: string) => {
      // A worker's death is told as an error, and is none of the code.
      if (!text.startsWith('media worker')) this.bugs.push(`${text}: ${String(about.err)}`);
    }) as pino.LogFn;
    this.network.listen(replicaUrl, {
      process: this.#signaling,
      handle: ({ body }) => Promise.resolve(this.#hear(body)),
    });
    this.#clients = {
      signaling: simulatedClient(this.#signaling, this.#surroundings(withoutRetries(this.#config))),
      operator: simulatedClient(this.#operator, this.#surroundings(this.#config)),
    };
    for (const slot of this.#slots) void this.#start(slot);
    this.#tick();
  }

  node(podName: string): SimulatedMediaNode | undefined {
    return this.#slots.find((slot) => slot.podName === podName)?.node;
  }

  get nodes(): SimulatedMediaNode[] {
    return this.#slots.flatMap(({ node }) => (node?.runs ? [node] : []));
  }

  /** A person in a room: comes in, or is there. */
  person(name: string, room: string): SimulatedPerson {
    const known = this.people.get(name);
    if (known) return known;
    const person = new SimulatedPerson(name, room, {
      ...{
        store: this.store,
        nodes: this.#clients.signaling,
        replica: this.#signaling,
        replicaUrl,
      },
      placesOf: (roomId) => this.#placesOf(name, roomId),
    });
    this.people.set(name, person);
    return person;
  }

  crash(podName: string): void {
    const slot = this.#slots.find((one) => one.podName === podName);
    const { node } = slot ?? {};
    if (!slot || !node?.runs) return;
    const { instanceId, workers } = node;
    for (const worker of workers) worker.close();
    node.process.kill();
    time.schedule(1_000, () => void this.#start(slot));
    // As the operator does with the rows of an instance that is over.
    time.schedule(2_000, () => this.#removeRows(instanceId));
  }

  /** Closes a room's router, as the operator does when it is drained; another takes its place. */
  closeRouter(index: number): void {
    const wanted = this.#wanted[index % this.#wanted.length];
    const { made } = wanted ?? {};
    const node = this.nodes.find(({ instanceId }) => instanceId === made?.instanceId);
    if (!wanted || !made || !node) return;
    wanted.made = undefined;
    const name = { roomId: wanted.roomId, routerId: made.routerId };
    const close = (): void =>
      void this.#clients.operator.deleteRouter(node.ctx.self.url, name).catch(() => {
        if (node.runs) time.schedule(1_000, close);
      });
    close();
  }

  heal(): void {
    this.network.heal();
    this.store.away = false;
    this.store.lostAnswers = 0;
    for (const { process } of this.nodes) process.resume();
    this.#signaling.resume();
  }

  #surroundings(config: MediaNodeConfig) {
    return {
      ...{ network: this.network, store: this.store, config, metrics, logger: this.#logger },
    };
  }

  async #start(slot: Slot): Promise<void> {
    const { podName, role, url } = slot;
    const around = this.#surroundings(configOf(podName, role, url));
    slot.node = await SimulatedMediaNode.start(new SimulatedProcess(podName), around);
  }

  #removeRows(instanceId: string): void {
    this.store
      .query(() => this.store.deleteWorker(instanceId))
      .catch(() => time.schedule(1_000, () => this.#removeRows(instanceId)));
  }

  /** Each person is always bound to the same of a room's places. */
  #placesOf(name: string, roomId: string) {
    const of = (direction: Wanted['direction']): Place | undefined => {
      const all = this.#wanted.filter(
        (one) => one.roomId === roomId && one.direction === direction,
      );
      const { made, slot } = all[name.charCodeAt(0) % all.length] ?? {};
      const url = this.#slots.find(({ podName }) => podName === slot)?.url ?? '';
      return made && { ...made, url };
    };
    return { producer: of('producer'), consumer: of('consumer') };
  }

  /** What the operator and the signaling service do once in a while. */
  #tick(): void {
    for (const wanted of this.#wanted) this.#ensure(wanted);
    for (const node of this.nodes) this.#collectOrphans(node);
    for (const person of this.people.values()) person.check();
    time.schedule(1_000, () => this.#tick());
  }

  #ensure(wanted: Wanted): void {
    const { roomId, direction, slot, made } = wanted;
    const node = this.node(slot);
    if (made && node?.instanceId === made.instanceId && node.runs) {
      if (!node.ctx.registry.routers.has(made.routerId)) wanted.made = undefined;
      return;
    }
    wanted.made = undefined;
    if (!node?.runs) return;
    const { instanceId, url } = node.ctx.self;
    const routerId = `${roomId}-${direction}-${slot}-${newUuid().slice(-4)}`;
    const role = direction === 'producer' ? 'Producer' : 'Consumer';
    const body = { instanceId, role, generation: 1 } as const;
    this.#clients.operator
      .putRouter(url, { roomId, routerId }, body, { retries: 0 })
      .then(() => {
        if (wanted.made === undefined) wanted.made = { routerId, instanceId };
        else this.#discard(url, { roomId, routerId });
      })
      .catch(() => this.#discard(url, { roomId, routerId }));
  }

  /** Closes routers that nobody has known for a while: a call for one may arrive late. */
  #collectOrphans({ ctx, process }: SimulatedMediaNode): void {
    for (const { id, roomId, createdAt } of ctx.registry.routers.values()) {
      const isKnown = this.#wanted.some(({ made }) => made?.routerId === id);
      if (isKnown || process.stopped || time.now() - createdAt < orphanGraceMs) continue;
      this.#clients.operator
        .deleteRouter(ctx.self.url, { roomId, routerId: id })
        .catch(() => undefined);
    }
  }

  /** It may have been made, and nobody will use it. */
  #discard(url: string, name: { roomId: string; routerId: string }): void {
    this.#clients.operator
      .deleteRouter(url, name)
      .catch(() => time.schedule(1_000, () => this.#discard(url, name)));
  }

  /** The replica's half of the messages of media nodes. */
  #hear(body: unknown): object {
    const { batchId, messages, lostPeers } = parseOrThrow(messageBatch, body, 'body');
    if (this.#batches.has(batchId)) return {};
    this.#batches.add(batchId);
    for (const { to, message } of messages)
      for (const person of this.people.values()) {
        const { mediaPeerId = '' } = person.connection ?? {};
        const isFor =
          'mediaPeerIds' in to ? to.mediaPeerIds.includes(mediaPeerId) : to.roomId === person.room;
        if (isFor) person.hear(mediaPeerId, message);
      }
    for (const { mediaPeerId } of lostPeers)
      for (const person of this.people.values()) person.lose(mediaPeerId);
    return {};
  }

  /** What must not be, whatever happens. */
  get violations(): string[] {
    const told = [...this.people.values()].flatMap((person) => person.violations);
    return [...this.bugs, ...this.network.bugs.map(String), ...told];
  }

  /** What is not as it should be once all faults are over; empty when all is. */
  differences(): string[] {
    return [
      ...this.#wanted.flatMap(({ made, roomId, slot }) =>
        made ? [] : [`room ${roomId} has no router on ${slot}`],
      ),
      ...[...this.people.values()].flatMap((person) => this.#personDifferences(person)),
      ...this.nodes.flatMap((node) => this.#nodeDifferences(node)),
      ...this.#pipeDifferences(),
      ...this.#rowDifferences(),
    ];
  }

  #personDifferences(person: SimulatedPerson): string[] {
    const { name, connection, settled } = person;
    if (!settled) return [`${name} is not where they want to be: ${person.trouble}`];
    if (!connection) return [];
    const others = [...this.people.values()].filter(
      (other) => other !== person && other.room === person.room,
    );
    const wanted = others.flatMap((other) => [...(other.connection?.published.values() ?? [])]);
    const live = this.nodes.flatMap(({ ctx }) => [
      ...ctx.registry.consumers.values(),
      ...ctx.registry.dataConsumers.values(),
    ]);
    const mine = live.filter(({ transport }) => transport.id === connection.receivingId);
    const watched = mine.map(({ source }) => source.id);
    const found = wanted
      .map((id) => ({ id, count: watched.filter((one) => one === id).length }))
      .filter(({ count }) => count !== 1)
      .map(({ id, count }) => `${name} has ${count} consumers of ${id}`);
    for (const id of watched)
      if (!wanted.includes(id)) found.push(`${name} has a consumer of ${id}, which nobody has`);
    const known = [...connection.consumers].map(([id, producerId]) => `${id} of ${producerId}`);
    const real = mine.map(({ id, source }) => `${id} of ${source.id}`);
    return [
      ...found,
      ...known.filter((one) => !real.includes(one)).map((one) => `${name} believes in ${one}`),
      ...real.filter((one) => !known.includes(one)).map((one) => `${name} was not told of ${one}`),
      ...mine
        .filter((one) => 'producerPaused' in one.consumer)
        .filter(
          ({ source, consumer }) => !this.#agrees(source.id, (consumer as Consumer).producerPaused),
        )
        .map(({ source }) => `${name} has another pause than ${source.id}`),
      ...[...connection.published]
        .filter(([, id]) => !this.#isOrigin(id))
        .map(([track, id]) => `${name}'s ${track} ${id} is gone`),
    ];
  }

  #isOrigin(id: string): boolean {
    return this.nodes.some(
      ({ ctx: { registry } }) => registry.producers.has(id) || registry.dataProducers.has(id),
    );
  }

  #agrees(producerId: string, paused: boolean): boolean {
    const live = this.nodes.flatMap(({ ctx }) => ctx.registry.producers.get(producerId) ?? []);
    return live.every(({ source }) => source.producer.paused === paused);
  }

  /** Nothing is open in mediasoup that the node does not know, and the reverse; no peer's that is gone. */
  #nodeDifferences({ ctx, open, process }: SimulatedMediaNode): string[] {
    const { registry, sourcePipes, destinationPipes } = ctx;
    const known = new Set([
      ...[...registry.routers.values()].map(({ router }) => router.id),
      ...[...registry.transports.keys(), ...registry.producers.keys()],
      ...[...registry.dataProducers.keys(), ...registry.consumers.keys()],
      ...registry.dataConsumers.keys(),
      ...[...sourcePipes.all, ...destinationPipes.all].map(({ id }) => id),
    ]);
    const inPipes = new Set(
      [...registry.routers.values()].flatMap(({ sources, dataSources }) =>
        [...sources.values(), ...dataSources.values()].map(({ producer }) => producer.id),
      ),
    );
    const sent = [...sourcePipes.all].reduce(
      (sum, { producers, dataProducers }) => sum + producers + dataProducers,
      0,
    );
    const unknown = open.filter(({ id }) => !known.has(id) && !inPipes.has(id));
    const found: string[] = [];
    // The consumers of a pipe's source end are known to it alone.
    if (unknown.length !== sent)
      found.push(`${process.name} has ${unknown.length} objects more than it knows, not ${sent}`);
    const people = [...this.people.values()].map(({ connection }) => connection?.mediaPeerId);
    for (const id of registry.peers)
      if (!people.includes(id)) found.push(`${process.name} has transports of ${id}, who has left`);
    for (const id of ctx.sessions.ids)
      if (!people.includes(id)) found.push(`${process.name} has a session of ${id}, who has left`);
    const wanted = this.#wanted.map(({ made }) => made?.routerId);
    for (const id of registry.routers.keys())
      if (!wanted.includes(id)) found.push(`${process.name} has the router ${id}`);
    return found;
  }

  /** Pipes are where something is watched through them, each with both ends. */
  #pipeDifferences(): string[] {
    const sources = this.nodes.flatMap(({ ctx }) => ctx.sourcePipes.all);
    const destinations = this.nodes.flatMap(({ ctx }) => ctx.destinationPipes.all);
    const found: string[] = [];
    for (const end of sources) {
      const other = destinations.find(({ id }) => id === end.destinationTransportId);
      if (!other) found.push(`the source end ${end.id} has no other end`);
      else if (other.producers !== end.producers || other.dataProducers !== end.dataProducers)
        found.push(`the ends of the pipe ${end.id} carry not the same`);
    }
    for (const end of destinations) {
      if (!sources.some(({ destinationTransportId }) => destinationTransportId === end.id))
        found.push(`the destination end ${end.id} has no other end`);
      if (end.producers + end.dataProducers === 0) found.push(`the pipe ${end.id} is empty`);
    }
    for (const { router } of destinations)
      for (const source of [...router.sources.values(), ...router.dataSources.values()])
        // What a pipe has brought has another id in mediasoup than its origin.
        if (source.users === 0 && source.producer.id !== source.id)
          found.push(`nobody watches ${source.id} on ${router.id}`);
    return found;
  }

  #rowDifferences(): string[] {
    const { tables } = this.store;
    const live: Record<keyof typeof tables, string[]> = {
      media_router: this.#ids(({ routers }) => routers),
      media_transport: this.#ids(({ transports }) => transports),
      media_producer: this.#ids(({ producers }) => producers),
      media_data_producer: this.#ids(({ dataProducers }) => dataProducers),
      media_consumer: this.#ids(({ consumers }) => consumers),
      media_data_consumer: this.#ids(({ dataConsumers }) => dataConsumers),
      media_pipe_transport: this.nodes.flatMap(({ ctx }) =>
        [...ctx.sourcePipes.all, ...ctx.destinationPipes.all].map(({ id }) => id),
      ),
    };
    return Object.entries(live).flatMap(([table, ids]) => {
      const rows: string[] = [...tables[table as keyof typeof tables].keys()];
      return [
        ...rows.filter((id) => !ids.includes(id)).map((id) => `${table} has ${id}, which is gone`),
        ...ids.filter((id) => !rows.includes(id)).map((id) => `${table} lacks ${id}`),
      ];
    });
  }

  #ids(of: (registry: SimulatedMediaNode['ctx']['registry']) => ReadonlyMap<string, unknown>) {
    return this.nodes.flatMap(({ ctx }) => [...of(ctx.registry).keys()]);
  }
}
