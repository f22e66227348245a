import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

import {
  createBindingRequest,
  isStun,
  readBindingAnswer,
  type BindingRequest,
  type IceCredentials,
} from './stun.ts';

export interface IceCandidate {
  address: string;
  port: number;
}

export interface IceOptions {
  remote: IceCredentials;
  candidate: IceCandidate;
  /** Kernel's receive buffer of the socket in bytes; the system's default when left out. */
  receiveBufferBytes?: number;
}

/** Times in milliseconds. A check is sent again with doubling pauses (RFC 8445, 14.3), and consent is renewed (RFC 7675). */
const check = { initialPauseMs: 100, attempts: 7 };
const consentIntervalMs = 8_000;

/**
 * The controlling side of ICE towards an ICE-Lite server on one UDP candidate: the check that nominates the pair, consent
 * afterwards, and the socket that DTLS and SRTP share.
 */
export class IceConnection {
  readonly #socket: Socket;
  readonly #options: IceOptions;
  readonly #local: IceCredentials;
  readonly #tieBreaker = randomBytes(8);
  #request: BindingRequest | undefined;
  #answered: ((error?: Error) => void) | undefined;
  #consent: NodeJS.Timeout | undefined;
  #closed = false;

  /** Called with every packet that is not STUN. */
  onPacket: (packet: Buffer) => void = () => undefined;

  private constructor(options: IceOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#local = {
      usernameFragment: randomBytes(4).toString('hex'),
      password: randomBytes(16).toString('hex'),
    };
    socket.on('message', (packet) => {
      if (isStun(packet)) this.#onStun(packet);
      else this.onPacket(packet);
    });
    // A server that went away answers with ICMP: the checks that stay unanswered tell.
    socket.on('error', () => undefined);
  }

  /** @throws Error when no check is answered, or when one is refused */
  static async create(options: IceOptions): Promise<IceConnection> {
    const { address, port } = options.candidate;
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const connection = new IceConnection(options, socket);
    socket.connect(port, address);
    await once(socket, 'connect');
    try {
      if (options.receiveBufferBytes) socket.setRecvBufferSize(options.receiveBufferBytes);
      await connection.#check();
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.#consent = setInterval(() => connection.#sendCheck(), consentIntervalMs);
    connection.#consent.unref();
    return connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(packet: Buffer): void {
    // As on any UDP path, what can't be sent is lost; without the callback a failure would be thrown.
    if (!this.#closed) this.#socket.send(packet, () => undefined);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#consent);
    this.#answered?.(new Error('closed during the ICE check'));
    this.#socket.close();
  }

  #sendCheck(): void {
    this.#request = createBindingRequest(this.#local, this.#options.remote, this.#tieBreaker);
    this.send(this.#request.bytes);
  }

  #check(): Promise<void> {
    return new Promise((resolve, reject) => {
      let attempts = 0;
      let timer: NodeJS.Timeout | undefined;
      this.#answered = (error) => {
        clearTimeout(timer);
        this.#answered = undefined;
        if (error) reject(error);
        else resolve();
      };
      const attempt = (): void => {
        if (attempts === check.attempts) {
          const { address, port } = this.#options.candidate;
          this.#answered?.(new Error(`no answer to ICE checks from ${address}:${port}`));
          return;
        }
        // The same request again: any of its copies may be answered.
        if (this.#request) this.send(this.#request.bytes);
        else this.#sendCheck();
        timer = setTimeout(attempt, check.initialPauseMs * 2 ** attempts++);
      };
      attempt();
    });
  }

  #onStun(packet: Buffer): void {
    if (!this.#request) return;
    const answer = readBindingAnswer(packet, this.#request.transactionId, this.#options.remote);
    if (answer === 'success') this.#answered?.();
    else if (answer) this.#answered?.(new Error(`ICE check refused with ${answer.error}`));
  }
}
