import { readdir, readFile } from 'node:fs/promises';

import type { Knex } from 'knex';

import { until } from '../testing/until.ts';
import type { Platform, Running } from './platform.ts';

/** What a process holds. */
export interface Holding {
  name: string;
  pid: number;
  memoryMegabytes: number;
  /** Open files and sockets. */
  handles: number;
}

export interface Holdings {
  processes: Holding[];
  /** Rows of the session tables. */
  rows: Record<string, number>;
  /** UDP ports that are bound. */
  udpPorts: number;
}

/** How much more a process may hold at the end than at the beginning. What began later has no beginning of its own. */
const allowance = { memoryMegabytes: 60, memoryShare: 1.5, handles: 15, udpPorts: 0 };
/** How long what peers leave behind may take to go, in milliseconds: idle pipes and sweeps included. */
const settle = { timeoutMs: 90_000, intervalMs: 1000 };

const sessionTables = [
  'media_peer',
  'media_transport',
  'media_producer',
  'media_consumer',
  'media_data_producer',
  'media_data_consumer',
  'media_pipe_transport',
  'media_peer_consumer',
  'media_peer_data_consumer',
];

async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024);
}

async function holdingOf({ name, pid }: Running): Promise<Holding> {
  const handles = (await readdir(`/proc/${pid}/fd`)).length;
  return { name, pid, memoryMegabytes: await memoryOf(pid), handles };
}

async function rowsOf(knex: Knex): Promise<Record<string, number>> {
  const counts = await Promise.all(
    sessionTables.map(async (table): Promise<[string, number]> => {
      const [row] = await knex(table).count<{ n: string }[]>('* as n');
      return [table, Number(row?.n)];
    }),
  );
  return Object.fromEntries(counts);
}

/** Bound UDP ports of this network namespace. */
async function udpPorts(): Promise<number> {
  const lines = (await readFile('/proc/net/udp', 'utf8')).trim().split('\n');
  return lines.length - 1;
}

/** Once nobody is in any room: waits until nothing of a session is left, and reads what the parts hold. */
export async function readHoldings(platform: Platform): Promise<Holdings> {
  const rows = await until(
    'no rows of sessions to be left',
    async () => {
      const counts = await rowsOf(platform.knex);
      const left = Object.entries(counts).filter(([, count]) => count > 0);
      if (left.length > 0) throw new Error(left.map(([name, n]) => `${n} of ${name}`).join(', '));
      return counts;
    },
    settle,
  );
  await until(
    'no live objects to be left',
    async () => {
      for (const { pod, status } of await platform.mediaNodes()) {
        const { routers, pipes } = status;
        const busy = routers.filter(({ transports }) => transports > 0).length;
        if (busy + pipes.length > 0)
          throw new Error(`${pod}: ${busy} routers with transports, ${pipes.length} pipes`);
      }
      return true;
    },
    settle,
  );
  const processes = await Promise.all((await platform.processes()).map(holdingOf));
  return { processes, rows, udpPorts: await udpPorts() };
}

/** What the parts hold more than they should, as sentences. Processes that began meanwhile are measured by their kind. */
export function compareHoldings(before: Holdings, after: Holdings): string[] {
  const kindOf = (name: string): string => name.replace(/-\d+$/, '');
  const largest = (name: string, key: 'memoryMegabytes' | 'handles'): number =>
    Math.max(
      0,
      ...before.processes.filter((one) => kindOf(one.name) === kindOf(name)).map((one) => one[key]),
    );
  const leaks = after.processes.flatMap(({ name, memoryMegabytes, handles }) => {
    const memory = largest(name, 'memoryMegabytes');
    const most = Math.max(memory * allowance.memoryShare, memory + allowance.memoryMegabytes);
    const files = largest(name, 'handles');
    return [
      ...(memoryMegabytes > most
        ? [`${name} has ${memoryMegabytes} MB of memory, ${memory} MB before`]
        : []),
      ...(handles > files + allowance.handles
        ? [`${name} has ${handles} handles open, ${files} before`]
        : []),
    ];
  });
  if (after.udpPorts > before.udpPorts + allowance.udpPorts)
    leaks.push(`${after.udpPorts} UDP ports are bound, ${before.udpPorts} before`);
  return leaks;
}
