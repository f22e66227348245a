import { readdir, readFile, readlink } from 'node:fs/promises';

import type { Knex } from 'knex';

import { until } from '../testing/until.ts';
import type { Platform } from './platform.ts';

/** What a process holds. */
export interface Holding {
  name: string;
  pid: number;
  memoryMegabytes: number;
  /** Open files and sockets. */
  handles: number;
  /** Bound UDP ports. */
  udpPorts: number;
}

export interface Holdings {
  processes: Holding[];
  /** Rows of the session tables. */
  rows: Record<string, number>;
}

/** How much more a process may hold at the end than at the beginning. What began later has no beginning of its own. */
const allowance = { memoryMegabytes: 150, memoryShare: 2, handles: 15, udpPorts: 0 };
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

/** Inodes of the UDP sockets of this network namespace, or of another one that a process is in. */
async function udpSocketsAt(pid: number): Promise<Set<string>> {
  const [, ...lines] = (await readFile(`/proc/${pid}/net/udp`, 'utf8')).trim().split('\n');
  return new Set(lines.map((line) => `socket:[${line.trim().split(/\s+/)[9] ?? ''}]`));
}

async function holdingOf({ name, pid }: { name: string; pid: number }): Promise<Holding> {
  const sockets = await udpSocketsAt(pid);
  const handles = await readdir(`/proc/${pid}/fd`);
  // One that was closed meanwhile is none.
  const links = await Promise.all(
    handles.map((handle) => readlink(`/proc/${pid}/fd/${handle}`).catch(() => '')),
  );
  return {
    ...{ name, pid, memoryMegabytes: await memoryOf(pid), handles: handles.length },
    udpPorts: links.filter((link) => sockets.has(link)).length,
  };
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

/** The parts of the platform, and the mediasoup workers of its nodes. */
async function allProcesses(platform: Platform): Promise<{ name: string; pid: number }[]> {
  const workers = (await platform.mediaNodes()).flatMap(({ pod, status }) =>
    status.workers.map(({ pid }, i) => ({ name: `${pod}-worker-${i}`, pid })),
  );
  return [...(await platform.processes()), ...workers];
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
  const processes = await Promise.all((await allProcesses(platform)).map(holdingOf));
  return { processes, rows };
}

type Measure = 'memoryMegabytes' | 'handles' | 'udpPorts';

const allowed: Record<Measure, { what: string; most: (before: number) => number }> = {
  memoryMegabytes: {
    what: 'MB of memory',
    most: (before) => Math.max(before * allowance.memoryShare, before + allowance.memoryMegabytes),
  },
  handles: { what: 'open handles', most: (before) => before + allowance.handles },
  udpPorts: { what: 'bound UDP ports', most: (before) => before + allowance.udpPorts },
};

/** `consumers` for `consumers-12`: a pod that took another's place is measured by those of its pool. */
const kindOf = (name: string): string => name.replace(/-\d+/, '');

/** What the parts hold more than they should, as sentences. */
export function compareHoldings(before: Holdings, after: Holdings): string[] {
  const largest = (name: string, measure: Measure): number =>
    Math.max(
      0,
      ...before.processes
        .filter((one) => kindOf(one.name) === kindOf(name))
        .map((one) => one[measure]),
    );
  return after.processes.flatMap((process) =>
    (Object.keys(allowed) as Measure[]).flatMap((measure) => {
      const { what, most } = allowed[measure];
      const was = largest(process.name, measure);
      return process[measure] > most(was)
        ? [`${process.name} has ${process[measure]} ${what}, ${was} before`]
        : [];
    }),
  );
}
