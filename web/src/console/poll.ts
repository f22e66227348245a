import { useRef, useState } from 'preact/hooks';

import type { ConsoleResponse } from '../../../common/wire/console.ts';
import { consoleUrl, type PageConfig } from '../page-config.ts';
import { usePolling } from '../views/hooks.ts';

const PAUSE_MS = 1000;
const TIMEOUT_MS = 4000;

export interface ConsoleData {
  /** The newest answer, kept while the service does not answer. */
  answer: ConsoleResponse | undefined;
  /** Why there is no newer one. */
  problem: string;
}

const isAnswer = (value: unknown): value is ConsoleResponse =>
  typeof value === 'object' &&
  value !== null &&
  ['nodes', 'pools', 'rooms', 'replicas'].every((field) =>
    Array.isArray((value as Record<string, unknown>)[field]),
  );

async function fetchConsole(url: string, token: string): Promise<ConsoleResponse> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: 'no-store',
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(`the signaling service answered ${response.status}`);
  const body: unknown = await response.json();
  if (!isAnswer(body)) throw new Error('the signaling service answered something else');
  return body;
}

function problemOf(error: unknown): string {
  if (error instanceof TypeError) return 'the signaling service cannot be reached';
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  return error instanceof Error ? error.message : String(error);
}

/** Reads the platform's state each second while the page is visible, from the next replica when one is silent. */
export function useConsoleData(config: PageConfig, replica: number, token: string): ConsoleData {
  const [data, setData] = useState<ConsoleData>({ answer: undefined, problem: '' });
  const chosen = useRef(replica);
  const read = async () => {
    if (document.hidden) return;
    const ports = config.signalingPorts;
    try {
      const port = ports[chosen.current % ports.length];
      setData({ answer: await fetchConsole(consoleUrl(location, port), token), problem: '' });
    } catch (error) {
      chosen.current += 1;
      setData((old) => ({ ...old, problem: problemOf(error) }));
    }
  };
  usePolling(read, PAUSE_MS, config);
  return data;
}
