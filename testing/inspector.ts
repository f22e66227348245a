import { once } from 'node:events';

import { WebSocket, type RawData } from 'ws';
import { z } from 'zod';

const targets = z.tuple([z.object({ webSocketDebuggerUrl: z.string() })]);
const heapUsage = z.object({ usedSize: z.number() });

/** Calls methods of V8's inspector, one after the other. @returns the last one's result */
async function callInspector(port: number, methods: readonly string[]): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/json/list`);
  const [{ webSocketDebuggerUrl }] = targets.parse(await response.json());
  const socket = new WebSocket(webSocketDebuggerUrl);
  try {
    await once(socket, 'open');
    let result: unknown;
    for (const [id, method] of methods.entries()) {
      const answered = once(socket, 'message') as Promise<[RawData]>;
      socket.send(JSON.stringify({ id, method }));
      const [answer] = await answered;
      result = (JSON.parse((answer as Buffer).toString()) as { result: unknown }).result;
    }
    return result;
  } finally {
    socket.terminate();
  }
}

/**
 * What a Node process holds on its heap after a full collection, in bytes.
 *
 * @param port of its inspector
 */
export async function heapUsed(port: number): Promise<number> {
  // Twice: what had a finalizer goes with the second collection.
  const collect = 'HeapProfiler.collectGarbage';
  return heapUsage.parse(await callInspector(port, [collect, collect, 'Runtime.getHeapUsage']))
    .usedSize;
}
