import type { OperatorConfig } from '../config.ts';
import { compare } from './compare.ts';
import type { Finding, Limits } from './kinds.ts';
import { limitsOf } from './limits.ts';
import { takeLook, type AuditSources, type Unreachable } from './look.ts';
import type { Snapshot, TablesView } from './snapshot.ts';

/** How much was compared: nothing to compare is no proof of anything. */
export interface Compared {
  rooms: number;
  nodes: number;
  peers: number;
  /** Rows of all tables. */
  rows: number;
  /** Live objects of all nodes. */
  objects: number;
}

/** What one look shows. */
export interface Examined {
  /** Undefined where a store could not be asked. */
  findings: Finding[] | undefined;
  limits: Limits;
  unreachable: Unreachable[];
  compared: Compared;
}

/** Looks everywhere once, and compares. Never rejects for a place that is away. */
export async function examine(sources: AuditSources, config: OperatorConfig): Promise<Examined> {
  const { snapshot, unreachable } = await takeLook(sources);
  const limits = limitsOf(config, snapshot?.nodes ?? []);
  return {
    findings: snapshot && compare(snapshot, limits),
    limits,
    unreachable,
    compared: countCompared(snapshot),
  };
}

const sizes = (view: object): number[] =>
  Object.values(view).flatMap((value: unknown) => (Array.isArray(value) ? [value.length] : []));
const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

function countCompared(snapshot: Snapshot | undefined): Compared {
  const nodes = snapshot?.nodes ?? [];
  const tables: Partial<TablesView> = snapshot?.tables ?? {};
  // Sessions and refusals are no objects.
  const objects = nodes.map((node) => ({ ...node, sessions: undefined, refused: undefined }));
  return {
    rooms: snapshot?.resources.rooms.length ?? 0,
    nodes: nodes.length,
    peers: tables.peers?.length ?? 0,
    rows: sum(sizes(tables)),
    objects: sum(objects.flatMap(sizes)),
  };
}
