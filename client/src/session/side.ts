import type { Direction, Move } from '../signaling/messages.ts';
import { persist, until } from '../signaling/persist.ts';
import { messageOf } from '../signaling/request-error.ts';
import { Line, type LineContext } from './line.ts';

export interface SideHandlers {
  /** Nothing can be sent or received any more: only a rejoin helps. */
  lost: (reason: string) => void;
  /** A move is through: the new transport has taken over. */
  moved: (move: Moved) => void;
}

/** A move that is through. */
export interface Moved {
  direction: Direction;
  reason: Move['reason'];
  /** From the server's word to the end of the old transport, in milliseconds. */
  durationMs: number;
}

/** Whether the old transport does not carry anything any more. */
const isBroken = ({ reason }: Move): boolean => reason === 'NodeLost' || reason === 'TransportLost';

/**
 * One side of a session: its transport, and while it moves to another node the one before it as well. A move may come
 * while another is not through, and the new transport may fail: each time the newest takes over, and what none carries any
 * more is closed.
 */
export abstract class Side {
  readonly #direction: Direction;
  readonly #lines = new Map<string, Line>();
  readonly #handlers: SideHandlers;
  protected readonly context: LineContext;
  /** Transports that others took the place of. */
  readonly #left = new Set<string>();
  #current: Line | undefined;
  /** The transport that a new one is being made for. */
  #replacing: string | undefined;
  /** Transports in a row that did not connect. */
  #failures = 0;
  #closed = false;

  constructor(direction: Direction, context: LineContext, handlers: SideHandlers) {
    this.#direction = direction;
    this.context = context;
    this.#handlers = handlers;
  }

  get current(): Line | undefined {
    return this.#current;
  }

  get closed(): boolean {
    return this.#closed;
  }

  protected line(transportId: string): Line | undefined {
    return this.#lines.get(transportId);
  }

  /** Makes the first transport. */
  async open(): Promise<void> {
    this.#current = await this.#openLine(undefined);
  }

  /** Moves to a new transport. Told again about the same one, or about one that was left before, nothing happens. */
  async move(move: Move): Promise<void> {
    const old = this.#current;
    // One that was never heard of was made for an answer that got lost: it takes the place of the present one.
    if (!old || this.#left.has(move.transportId) || this.#replacing !== undefined) return;
    const startedAt = performance.now();
    const line = await this.#replace(old);
    if (!line) return;
    await this.takeOver(line, isBroken(move));
    if (!(await this.#closeOld(old, this.#overlapOf(move)))) return;
    const durationMs = Math.round(performance.now() - startedAt);
    this.#handlers.moved({ direction: this.#direction, reason: move.reason, durationMs });
  }

  /** Restarts ICE of the present transport. */
  async restartIce(): Promise<void> {
    await this.#current?.restartIce();
  }

  /** The session is over. What is still shown keeps its transport until something takes its place. */
  close(): void {
    this.#closed = true;
    for (const line of [...this.#lines.values()]) line.retire();
  }

  /**
   * Brings to the new transport what went through the old one.
   *
   * @param broken - nothing goes through the old one any more
   */
  protected abstract takeOver(line: Line, broken: boolean): Promise<void>;

  /** Whether the old transport has been relieved, before its time is over. */
  protected abstract isRelieved(old: Line): boolean;

  /** The old transport is closed at the server. */
  protected abstract left(old: Line): void;

  /** What is watched goes over by itself, one after the other; what is published from a broken transport is gone. */
  #overlapOf(move: Move): number {
    if (this.#direction === 'producer' && isBroken(move)) return 0;
    return move.overlapMs ?? this.context.timing.move.overlapMs;
  }

  async #openLine(replaces: string | undefined): Promise<Line> {
    const line = await Line.open({
      ...{ context: this.context, direction: this.#direction, replaces },
      onLost: (lost) => void this.failed(lost),
    });
    if (this.#isClosed()) {
      line.close();
      throw new Error('the session is closed');
    }
    this.#lines.set(line.id, line);
    line.transport.observer.on('close', () => this.#lines.delete(line.id));
    return line;
  }

  /** Makes the transport that takes the place of another. Nothing: it could not be had, and the side is lost. */
  async #replace(old: Line): Promise<Line | undefined> {
    this.#replacing = old.id;
    try {
      const line = await persist(
        () => this.#openLine(old.id),
        this.context.timing.retry,
        () => !this.#closed,
      );
      this.#current = line;
      this.#left.add(old.id);
      old.retire();
      return line;
    } catch (error) {
      if (!this.#isClosed()) this.#handlers.lost(`no other transport: ${messageOf(error)}`);
      return undefined;
    } finally {
      this.#replacing = undefined;
    }
  }

  /** Ends the old transport in its time, and not before a new one connects. Resolves with whether it came to that. */
  async #closeOld(old: Line, overlapMs: number): Promise<boolean> {
    const { pollMs, connectMs } = this.context.timing.move;
    const isDone = () => this.#closed || this.isRelieved(old);
    await until(isDone, { pollMs, timeoutMs: overlapMs });
    const isConnected = () => this.#closed || this.#current?.usable === true;
    while (!(await until(isConnected, { pollMs, timeoutMs: connectMs })))
      if (this.#current) await this.failed(this.#current);
    if (this.#isClosed()) return false;
    this.#failures = 0;
    this.left(old);
    this.#tellClosed(old);
    return true;
  }

  #tellClosed({ id }: Line): void {
    const { signaling, timing } = this.context;
    persist(
      () => signaling.request('closeTransport', { transportId: id }),
      timing.retry,
      () => !this.#closed,
      // The server closes it too, at the latest with the peer.
    ).catch(() => undefined);
  }

  /** A transport failed for good. Another one takes its place, a few times in a row; else only a rejoin helps. */
  protected async failed(line: Line): Promise<void> {
    if (this.#closed || line !== this.#current || this.#replacing !== undefined) return;
    this.#failures += 1;
    const { tries } = this.context.timing.move;
    if (!this.context.canMove() || this.#failures > tries) {
      this.#handlers.lost('media connection lost');
      return;
    }
    await this.move({
      ...{ transportId: line.id, direction: this.#direction, reason: 'TransportLost' },
    });
  }

  /** Closes what is left of the transports. */
  protected closeLines(): void {
    for (const line of [...this.#lines.values()]) line.close();
  }

  // A method, since what is awaited may change it.
  #isClosed(): boolean {
    return this.#closed;
  }
}
