import { Device, type types } from 'mediasoup-client';

import type {
  ClientRequests,
  DeviceInfo,
  Direction,
  Move,
  PeerInfo,
  Signaling,
} from '../signaling/messages.ts';
import type { Timing } from '../timing.ts';
import { summarizeTransport, type TransportStats } from '../media/stats.ts';
import type { LineContext } from './line.ts';
import { ReceiveSide, type ReceiveHandlers } from './receive-side.ts';
import { SendSide, type SendHandlers } from './send-side.ts';
import type { Side } from './side.ts';

export interface SessionOptions {
  /** For what is asked once joined. */
  signaling: Signaling;
  canMove: () => boolean;
  timing: Timing;
  forceTcp: boolean;
  settings: LineContext['settings'];
  handlerFactory: types.HandlerFactory | undefined;
  handlers: ReceiveHandlers & SendHandlers;
}

/** What a transport carries. */
export interface TransportReport extends TransportStats {
  transportId: string;
  direction: Direction;
  state: types.ConnectionState;
}

/**
 * The media of one session: mediasoup-client's device and the two sides. It lives from a join to the loss of the session,
 * over as many sockets and moves as it takes; a rejoin makes a new one.
 */
export class MediaSession {
  readonly send: SendSide;
  readonly receive: ReceiveSide;
  #joined = false;
  #closed = false;

  private constructor(send: SendSide, receive: ReceiveSide) {
    this.send = send;
    this.receive = receive;
  }

  /**
   * Loads the device and makes both sides, with their transports.
   *
   * @param channel - for what is asked before the join
   */
  static async open(channel: Signaling, options: SessionOptions): Promise<Opened> {
    const { timing, forceTcp, settings, handlerFactory, handlers, canMove } = options;
    const device = await Device.factory(handlerFactory ? { handlerFactory } : {});
    const { routerRtpCapabilities } = await channel.request('getRouterRtpCapabilities', undefined);
    await device.load({ routerRtpCapabilities });
    // The connection takes other requests only after the join.
    const signaling: Signaling = {
      request: (method, data) =>
        (session.#joined ? options.signaling : channel).request(method, data),
      notify: (method, data) => options.signaling.notify(method, data),
    };
    const context = { device, signaling, timing, forceTcp, settings, canMove };
    const session: MediaSession = new MediaSession(
      new SendSide(context, handlers),
      new ReceiveSide(context, handlers),
    );
    try {
      await session.send.open();
      await session.receive.open();
    } catch (error) {
      session.close();
      throw error;
    }
    return {
      session,
      async join(displayName: string, deviceInfo: DeviceInfo) {
        const { peers } = await channel.request('join', {
          ...{ displayName, device: deviceInfo, rtpCapabilities: device.recvRtpCapabilities },
        });
        session.#joined = true;
        return peers;
      },
    };
  }

  /** Whether the join is through: only then can anything be published. */
  get joined(): boolean {
    return this.#joined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What the server is told of a session that it is to resume. */
  get held(): ClientRequests['resumeSession']['data'] {
    const [producer, consumer] = [this.send.current?.id, this.receive.current?.id];
    const transportIds = {
      ...(producer === undefined ? {} : { producer }),
      ...(consumer === undefined ? {} : { consumer }),
    };
    return { ...this.receive.complete, transportIds };
  }

  move(move: Move): Promise<void> {
    return this.#side(move.direction).move(move);
  }

  /** Restarts ICE of both transports. */
  async restartIce(): Promise<void> {
    await Promise.all([this.send.restartIce(), this.receive.restartIce()]);
  }

  /** Restarts ICE of what is not connected: the network is back. */
  async reconnectIce(): Promise<void> {
    const isOff = ({ current }: Side) =>
      current && ['disconnected', 'failed'].includes(current.transport.connectionState);
    const sides = [this.send, this.receive].filter(isOff);
    await Promise.all(sides.map((side) => side.restartIce()));
  }

  /** The browser's numbers of both transports. */
  async getStats(): Promise<TransportReport[]> {
    const reports = await Promise.all([
      reportOf('producer', this.send),
      reportOf('consumer', this.receive),
    ]);
    return reports.filter((report) => report !== undefined);
  }

  /** What is sent ends at once; what is shown stays until something takes its place. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.send.close();
    this.receive.close();
  }

  #side(direction: Direction): Side {
    return direction === 'producer' ? this.send : this.receive;
  }
}

/** A session that is ready to join. */
interface Opened {
  session: MediaSession;
  /** Consumers may be announced before it resolves. */
  join: (displayName: string, device: DeviceInfo) => Promise<PeerInfo[]>;
}

async function reportOf(direction: Direction, side: Side): Promise<TransportReport | undefined> {
  const transport = side.current?.transport;
  if (!transport || transport.closed) return undefined;
  const stats = summarizeTransport((await transport.getStats()).values());
  return { transportId: transport.id, direction, state: transport.connectionState, ...stats };
}
