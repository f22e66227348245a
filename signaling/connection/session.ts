import { randomUUID } from 'node:crypto';

import { toApiError } from '../../common/service/http.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';
import type { DialectName } from '../dialects/dialect.ts';
import { createConsumerFilter } from '../fanout/consumer-filter.ts';
import { createResumer } from '../fanout/resumer.ts';
import type { PeerSides } from '../moves/sides.ts';
import { hasJoined, type LocalPeer, type Stage } from '../peers/registry.ts';
import { toPublicError } from '../public-error.ts';
import type { Services } from '../services.ts';
import { attach, type Attachment } from '../sessions/attach.ts';
import { makeResumeToken } from '../sessions/resume-token.ts';
import { closeCodes, endsSession } from './close-codes.ts';
import type { Admission } from './handshake.ts';
import { Inbox } from './inbox.ts';
import { mediasoupVersion } from './mediasoup-version.ts';
import { PeerSocket, type ClientConnection } from './peer-socket.ts';
import { consumersKey } from './request-order.ts';
import { ClientRequests, type RequestHost, type Truth } from './requests.ts';

/**
 * One connection of a peer: it is bound to its routers, or continues a session that is; its requests go to its media
 * nodes, and the platform's messages come out in its dialect. A session outlives it as a row in the tables, and in
 * nothing else.
 */
export class Session implements LocalPeer, RequestHost {
  readonly mediaPeerId: string;
  readonly roomName: string;
  readonly peerId: string;
  readonly movable: boolean;
  readonly admission: Admission;
  readonly logger: Logger;
  readonly ended: Promise<void>;
  readonly attached: Promise<PeerSides>;
  stage: Stage;
  readonly #services: Services;
  readonly #resumeToken: string | undefined;
  readonly #attaching: Promise<Attachment>;
  readonly #socket: PeerSocket;
  readonly #requests: ClientRequests;
  readonly #consumers;
  readonly #resumer;
  readonly #inbox = new Inbox((message) => this.#send(message));
  readonly #stageTimer: NodeJS.Timeout;
  #attachment: Attachment | undefined;
  /** Whether the session ends with this connection, whatever its socket says. */
  #isLast = false;
  /** Whether another connection has the session. */
  #isSuperseded = false;
  #leaving: Promise<void> | undefined;
  #countedAs: DialectName | undefined;
  #resolveEnded: () => void = () => undefined;

  constructor(services: Services, client: ClientConnection, admission: Admission) {
    const { config, metrics, registry } = services;
    const { resume, extensions } = admission;
    this.#services = services;
    this.admission = admission;
    this.mediaPeerId = resume?.mediaPeerId ?? randomUUID();
    this.roomName = admission.roomName;
    this.peerId = admission.peerId;
    this.movable = extensions.has('move');
    this.stage = resume ? 'resuming' : 'connected';
    this.#resumeToken = resume?.token ?? (extensions.has('resume') ? makeResumeToken() : undefined);
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    const { roomName: room, peerId, mediaPeerId } = this;
    this.logger = services.logger.child({ room, peerId, mediaPeerId });
    this.#requests = new ClientRequests(services, this);
    this.#consumers = createConsumerFilter(config.fanout.tombstones);
    this.#resumer = createResumer({
      resume: (consumerIds) =>
        this.#requests.forward('resumeConsumers', { consumerIds }, consumersKey),
      retryMs: config.fanout.resumeRetryMs,
      logger: this.logger,
    });
    this.#socket = this.#open(client);
    this.#stageTimer = setTimeout(() => this.#tooSlow(), config.websocket.joinTimeoutMs);
    const earlier = registry.get(mediaPeerId);
    registry.add(this);
    earlier?.supersede();
    metrics.connections.inc();
    this.#notify('mediasoupVersion', { version: mediasoupVersion });
    this.#attaching = this.#attach(earlier?.ownerEpoch);
    this.attached = this.#attaching.then(({ sides }) => sides);
    // Whoever waits for it gets the error; the socket is closed whether or not anybody does.
    this.attached.catch(() => undefined);
  }

  get inRoom(): boolean {
    return this.stage !== 'connected';
  }

  get isOpen(): boolean {
    return this.#socket.open;
  }

  get sides(): PeerSides | undefined {
    return this.#attachment?.sides;
  }

  get ownerEpoch(): number | undefined {
    return this.#attachment?.ownerEpoch;
  }

  close(code: number, reason: string): void {
    this.logger.info({ code, reason }, 'closing the connection');
    this.#isLast ||= endsSession(code);
    this.#socket.close(code, reason);
  }

  supersede(): void {
    this.#isSuperseded = true;
    this.close(closeCodes.forGood, 'the session goes on with another connection');
  }

  /** Brings a message to the client, after the answer to its join or to its return. */
  deliver(message: PeerMessage): void {
    this.#inbox.push(message);
    if (this.#inbox.held > this.#services.config.websocket.maxQueued)
      this.close(closeCodes.tryAgainLater, 'too many messages wait for the join');
  }

  joinFailed(): void {
    this.stage = 'connected';
    this.#inbox.clear();
  }

  joined(present: Iterable<string>): void {
    this.#begin(present);
  }

  /** What the client has and lives is known to the filter, so that its end is told; what it lacks comes after. */
  resumed({ had, alive }: Truth): void {
    const living = new Set([...alive.consumerIds, ...alive.dataConsumerIds]);
    const kept = [...had.consumerIds, ...had.dataConsumerIds].filter((id) => living.has(id));
    this.#consumers.adopt(kept);
    this.#begin(alive.peers.map(({ peerId }) => peerId));
    for (const data of alive.newConsumers) this.deliver({ method: 'newConsumer', data });
    for (const data of alive.newDataConsumers) this.deliver({ method: 'newDataConsumer', data });
    const paused = new Set(alive.pausedConsumerIds);
    for (const consumerId of had.consumerIds)
      if (living.has(consumerId))
        this.deliver({
          method: paused.has(consumerId) ? 'consumerPaused' : 'consumerResumed',
          data: { consumerId },
        });
  }

  paused(consumerIds: string[]): void {
    this.#resumer.drop(consumerIds);
  }

  async leave(): Promise<void> {
    this.#isLast = true;
    await this.#leave();
    // The answer goes out first.
    setImmediate(() => this.close(closeCodes.forGood, 'the peer has left'));
  }

  #open(client: ClientConnection): PeerSocket {
    const { config, metrics } = this.#services;
    return new PeerSocket(
      { ...client, config, metrics, logger: this.logger },
      {
        request: (frame) => this.#requests.request(frame),
        notification: (frame) => void this.#requests.notification(frame),
        closed: (code) => void this.#end(code),
      },
    );
  }

  #notify(method: string, data: unknown): void {
    this.#socket.push({ kind: 'notification', method, data });
  }

  /** @param earlierEpoch that of the connection here which this one took the place of */
  async #attach(earlierEpoch: number | undefined): Promise<Attachment> {
    try {
      const attachment = await attach(this.#services, this, this.#resumeToken);
      this.#attachment = attachment;
      const { graceMs: resumeTimeoutMs } = this.#services.config.resume;
      const resumeToken = this.#resumeToken;
      if (resumeToken !== undefined) this.#notify('session', { resumeToken, resumeTimeoutMs });
      // What became of the room since it was chosen.
      this.#services.mover.consider(this);
      return attachment;
    } catch (error) {
      const apiError = toPublicError(toApiError(error, this.logger), this.logger);
      const isOver = this.stage === 'resuming' && apiError.code === 'peer_not_found';
      const code = isOver ? closeCodes.sessionLost : closeCodes.notBound;
      this.close(code, `${apiError.code}: ${apiError.message}`);
      if (earlierEpoch !== undefined && !isOver)
        await this.#services.leaver.detach({ id: this.mediaPeerId, ownerEpoch: earlierEpoch });
      throw apiError;
    }
  }

  /** A client that continues its session but does not ask for the truth may come back once more. */
  #tooSlow(): void {
    if (this.stage === 'resuming')
      this.close(closeCodes.tryAgainLater, 'resumeSession did not come in time');
    else this.close(closeCodes.joinTimeout, 'no join in time');
  }

  #begin(present: Iterable<string>): void {
    clearTimeout(this.#stageTimer);
    if (!this.#socket.open) return;
    this.stage = 'joined';
    this.#countedAs = this.#requests.dialect.name;
    this.#services.metrics.peers.inc({ dialect: this.#countedAs });
    this.#inbox.open(present);
    this.#services.mover.consider(this);
  }

  #send(message: PeerMessage): void {
    const admitted = this.#consumers.admit(message);
    const worded = admitted && this.#requests.dialect.message(admitted);
    if (!worded) return;
    if (admitted.method === 'newConsumer') {
      const { consumerId } = admitted.data;
      this.#socket.push(worded, (ok) => ok && this.#resumer.add(consumerId));
    } else this.#socket.push(worded);
  }

  #leave(): Promise<void> {
    return (this.#leaving ??= this.#tellLeave());
  }

  async #tellLeave(): Promise<void> {
    const attachment = await this.#attaching.catch(() => undefined);
    if (!attachment) return;
    const { sides, ownerEpoch } = attachment;
    const { mediaPeerId, roomName, peerId, inRoom: joined } = this;
    const { nodeUrls } = sides;
    await this.#services.leaver.leave({
      ...{ mediaPeerId, roomName, peerId, joined, nodeUrls, ownerEpoch },
    });
  }

  #isResumable(): boolean {
    return this.#resumeToken !== undefined && hasJoined(this) && !this.#isLast;
  }

  async #detach(): Promise<void> {
    const attachment = await this.#attaching.catch(() => undefined);
    if (!attachment) return;
    const { ownerEpoch } = attachment;
    await this.#services.leaver.detach({ id: this.mediaPeerId, ownerEpoch });
  }

  async #end(code: number): Promise<void> {
    const { registry, metrics, dispatcher, mover, suspicions } = this.#services;
    clearTimeout(this.#stageTimer);
    this.#resumer.close();
    this.#inbox.clear();
    registry.remove(this);
    mover.forget(this);
    suspicions.forget(this);
    if (registry.inRoom(this.roomName).length === 0) dispatcher.forgetRoom(this.roomName);
    metrics.connections.dec();
    metrics.closes.inc({ code: String(code) });
    if (this.#countedAs) metrics.peers.dec({ dialect: this.#countedAs });
    this.logger.info({ code }, 'connection closed');
    if (this.#isSuperseded) this.logger.info('the session goes on');
    else if (this.#isResumable()) await this.#detach();
    else await this.#leave();
    this.#resolveEnded();
  }
}
