import type { types } from 'mediasoup-client';

import type { Direction, Signaling } from '../signaling/messages.ts';
import { persist } from '../signaling/persist.ts';
import { asError } from '../signaling/request-error.ts';
import type { Timing } from '../timing.ts';
import { IceKeeper } from './ice-keeper.ts';
import type { Wire } from './wire.ts';

/** What all lines of a session share. */
export interface LineContext {
  device: types.Device;
  signaling: Signaling;
  timing: Timing;
  forceTcp: boolean;
  /** Whether the server makes transports that take another one's place. */
  canMove: () => boolean;
  settings: Pick<types.TransportOptions, 'iceServers' | 'iceTransportPolicy'>;
}

export interface LineOptions {
  context: LineContext;
  direction: Direction;
  /** The transport that the new one takes the place of. */
  replaces: string | undefined;
  onLost: (line: Line) => void;
}

/**
 * One transport, here and at the server, with what keeps it connected. *Retired*: another one takes its place, and it goes
 * once nothing that is shown or sent needs it any more.
 */
export class Line {
  readonly transport: types.Transport;
  readonly #keeper: IceKeeper;
  readonly #users = new Set<object>();
  #retired = false;

  private constructor(transport: types.Transport, { context, onLost }: LineOptions) {
    this.transport = transport;
    const { signaling, timing } = context;
    this.#keeper = new IceKeeper({
      ...{ transport, signaling, timing: timing.ice },
      onLost: () => onLost(this),
    });
    transport.on('connect', ({ dtlsParameters }, callback, errback) => {
      persist(
        () =>
          signaling.request('connectWebRtcTransport', {
            transportId: transport.id,
            dtlsParameters,
          }),
        timing.retry,
        () => !transport.closed,
      ).then(callback, (error: unknown) => {
        errback(asError(error));
        onLost(this);
      });
    });
  }

  /** Makes the transport at the server and here. */
  static async open(options: LineOptions): Promise<Line> {
    const { context, direction, replaces } = options;
    const { device, signaling, forceTcp, settings } = context;
    const { transportId, ...rest } = await signaling.request('createWebRtcTransport', {
      forceTcp,
      appData: { direction },
      ...(replaces === undefined ? {} : { replaces }),
    });
    const parameters = { id: transportId, ...rest, ...settings };
    const transport =
      direction === 'producer'
        ? device.createSendTransport(parameters)
        : device.createRecvTransport(parameters);
    if (direction === 'producer') answerProduce(transport, signaling);
    return new Line(transport, options);
  }

  get id(): string {
    return this.transport.id;
  }

  get retired(): boolean {
    return this.#retired;
  }

  get closed(): boolean {
    return this.transport.closed;
  }

  /** Whether media can go through it now. One that nothing uses does not connect, and need not. */
  get usable(): boolean {
    return (
      !this.closed && (this.#users.size === 0 || this.transport.connectionState === 'connected')
    );
  }

  get used(): boolean {
    return this.#users.size > 0;
  }

  use(user: object): void {
    this.#users.add(user);
  }

  release(user: object): void {
    this.#users.delete(user);
    if (this.#retired && this.#users.size === 0) this.close();
  }

  /** Another one takes its place: it is closed with the last that uses it, if not by {@link close} before. */
  retire(): void {
    this.#retired = true;
    this.#keeper.stop();
    if (this.#users.size === 0) this.close();
  }

  restartIce(): Promise<void> {
    return this.#keeper.restart();
  }

  close(): void {
    this.transport.close();
  }
}

function answerProduce(transport: types.Transport, signaling: Signaling): void {
  const transportId = transport.id;
  transport.on('produce', ({ kind, rtpParameters, appData }, callback, errback) => {
    const { wire } = appData as { wire: Wire };
    signaling
      .request('produce', { transportId, kind, rtpParameters, paused: false, ...wire })
      .then(({ producerId }) => callback({ id: producerId }), errback);
  });
  transport.on('producedata', (parameters, callback, errback) => {
    const { sctpStreamParameters, label = '', protocol = '', appData } = parameters;
    const { wire } = appData as { wire: Wire };
    signaling
      .request('produceData', { transportId, sctpStreamParameters, label, protocol, ...wire })
      .then(({ dataProducerId }) => callback({ id: dataProducerId }), errback);
  });
}
