import { setTimeout as sleep } from 'node:timers/promises';

import type { Consumer } from 'mediasoup/types';

import type { NodeContext } from '../context.ts';

/**
 * A stream of a video consumer sends nothing before its key frame comes. mediasoup asks for one when the consumer is made
 * or resumed, and once more; both may be lost on their way to the publisher, and then nothing would flow for good. A
 * consumer behind a pipe can't even ask: a piped producer that has got nothing yet passes no request on. So it is asked for
 * again, with growing pauses, until something is sent.
 *
 * @param expected which of the consumer's streams have something to send at the moment, by their encodings' index
 */
export function watchFirstFrames(
  ctx: NodeContext,
  consumer: Consumer,
  expected: () => number[],
): void {
  if (consumer.kind !== 'video') return;
  let current = new AbortController();
  const stop = (): void => current.abort();
  const start = (): void => {
    stop();
    const { signal } = (current = new AbortController());
    ctx.background('consumers: first frames', () =>
      // A consumer that closes meanwhile fails what it is asked.
      requestUntilSent(ctx, { consumer, expected, signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      }),
    );
  };
  consumer.observer.on('pause', stop).on('close', stop).on('resume', start);
  if (!consumer.paused && !consumer.producerPaused) start();
}

interface Watch {
  consumer: Consumer;
  expected: () => number[];
  signal: AbortSignal;
}

async function requestUntilSent(
  { config: { rtc } }: NodeContext,
  { consumer, expected, signal }: Watch,
): Promise<void> {
  const before = await packetsSent(consumer);
  let pause = rtc.keyFrameRetryMs;
  while (!signal.aborted) {
    await sleep(pause, undefined, { signal, ref: false });
    const sent = await packetsSent(consumer);
    const streams = expected();
    const isSilent = (index: number): boolean => (sent[index] ?? 0) <= (before[index] ?? 0);
    if (streams.some(isSilent)) await consumer.requestKeyFrame();
    else if (streams.length > 0) return;
    pause = Math.min(pause * 2, rtc.keyFrameMaxRetryMs);
  }
}

/** Of each of its streams. */
async function packetsSent(consumer: Consumer): Promise<number[]> {
  const stats = await consumer.getStats();
  return stats.flatMap(({ type, packetCount }) => (type === 'outbound-rtp' ? [packetCount] : []));
}
