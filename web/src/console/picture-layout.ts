import type { ConsoleNode } from '../../../common/wire/console.ts';

/** Where things go in the picture of the platform. Pure: nodes and a width → boxes and paths, in SVG units. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

type Worker = ConsoleNode['workers'][number];
type Router = ConsoleNode['routers'][number];

export interface RouterBox {
  key: string;
  box: Box;
  router: Router;
}

export interface WorkerBox {
  box: Box;
  worker: Worker;
  routers: RouterBox[];
}

export interface NodeBox {
  box: Box;
  node: ConsoleNode;
  workers: WorkerBox[];
}

/** One pipe between two routers; the nodes at its ends each know one end of it. */
export interface Pipe {
  key: string;
  from: string;
  to: string;
  roomId: string;
  producers: number;
  dataProducers: number;
}

export interface PipePath extends Pipe {
  /** An SVG path from the source router to the destination router. */
  path: string;
}

export interface Picture {
  width: number;
  height: number;
  nodes: NodeBox[];
  pipes: PipePath[];
}

const MARGIN = 12;
const NODE_GAP = 18;
const NODE_HEADER = 64;
const NODE_PADDING = 10;
const WORKER_HEADER = 24;
const WORKER_GAP = 8;
const ROUTER_HEIGHT = 30;
const ROUTER_GAP = 6;
/** Between columns, for the pipes to cross. */
const COLUMN_GAP = 120;
const MAX_COLUMN_WIDTH = 420;
/** With less for each column, nodes go below each other and pipes run along their side. */
const MIN_COLUMN_WIDTH = 230;
const SIDE_GUTTER = 56;

/** Left to right as media flows. */
const roleOrder = ['Producer', 'Both', 'Consumer'] as const;

/** A router is found by the run of the node that it is on: the same id may be on another one a moment later. */
export const routerKey = (instanceId: string, routerId: string): string =>
  `${instanceId}/${routerId}`;

/** Each pipe once, from what both of its ends say; a pipe of which only one end answered is there too. */
export function collectPipes(nodes: readonly ConsoleNode[]): Pipe[] {
  const pipes = new Map<string, Pipe>();
  for (const node of nodes) {
    for (const pipe of node.pipes) {
      const here = routerKey(node.instanceId, pipe.routerId);
      const there = routerKey(pipe.remoteInstanceId, pipe.remoteRouterId);
      const [from, to] = pipe.end === 'source' ? [here, there] : [there, here];
      const key = `${from}→${to}`;
      const known = pipes.get(key);
      const roomId = node.routers.find(({ routerId }) => routerId === pipe.routerId)?.roomId ?? '';
      pipes.set(key, {
        key,
        from,
        to,
        roomId: known?.roomId ?? roomId,
        producers: Math.max(known?.producers ?? 0, pipe.producers),
        dataProducers: Math.max(known?.dataProducers ?? 0, pipe.dataProducers),
      });
    }
  }
  return [...pipes.values()].sort((a, b) => a.key.localeCompare(b.key));
}

function layoutWorker(node: ConsoleNode, worker: Worker, origin: Omit<Box, 'height'>): WorkerBox {
  const routers = node.routers
    .filter(({ workerIndex }) => workerIndex === worker.index)
    .sort((a, b) => a.routerId.localeCompare(b.routerId))
    .map((router, index): RouterBox => ({
      key: routerKey(node.instanceId, router.routerId),
      router,
      box: {
        x: origin.x + 6,
        y: origin.y + WORKER_HEADER + index * (ROUTER_HEIGHT + ROUTER_GAP),
        width: origin.width - 12,
        height: ROUTER_HEIGHT,
      },
    }));
  const height = WORKER_HEADER + routers.length * (ROUTER_HEIGHT + ROUTER_GAP);
  return { worker, routers, box: { ...origin, height } };
}

function layoutNode(node: ConsoleNode, origin: Omit<Box, 'height'>): NodeBox {
  let y = origin.y + NODE_HEADER;
  const workers = [...node.workers]
    .sort((a, b) => a.index - b.index)
    .map((worker) => {
      const width = origin.width - 2 * NODE_PADDING;
      const box = layoutWorker(node, worker, { x: origin.x + NODE_PADDING, y, width });
      y += box.box.height + WORKER_GAP;
      return box;
    });
  return { node, workers, box: { ...origin, height: y + NODE_PADDING - WORKER_GAP - origin.y } };
}

function layoutColumn(nodes: ConsoleNode[], x: number, width: number): NodeBox[] {
  let y = MARGIN;
  return nodes.map((node) => {
    const box = layoutNode(node, { x, y, width });
    y += box.box.height + NODE_GAP;
    return box;
  });
}

/** A pipe leaves a router on the right and enters the other on its left, or on the right where both stand in one column. */
function pipePath(from: Box, to: Box): string {
  const startX = from.x + from.width;
  const startY = from.y + from.height / 2;
  const endY = to.y + to.height / 2;
  if (to.x > startX) {
    const bend = (to.x - startX) / 2;
    return `M${startX} ${startY}C${startX + bend} ${startY} ${to.x - bend} ${endY} ${to.x} ${endY}`;
  }
  const endX = to.x + to.width;
  const side = Math.max(startX, endX) + SIDE_GUTTER;
  return `M${startX} ${startY}C${side} ${startY} ${side} ${endY} ${endX} ${endY}`;
}

function byRole(nodes: readonly ConsoleNode[]): ConsoleNode[][] {
  return roleOrder
    .map((role) =>
      nodes.filter((node) => node.role === role).sort((a, b) => a.podName.localeCompare(b.podName)),
    )
    .filter((column) => column.length > 0);
}

/** Columns of nodes by role, or one column where the width does not allow more. */
function layoutColumns(nodes: readonly ConsoleNode[], width: number): NodeBox[] {
  const columns = byRole(nodes);
  if (columns.length === 0) return [];
  const inner = width - 2 * MARGIN;
  const columnWidth = (inner - COLUMN_GAP * (columns.length - 1)) / columns.length;
  if (columns.length === 1 || columnWidth < MIN_COLUMN_WIDTH) {
    const single = Math.min(inner - SIDE_GUTTER, 2 * MAX_COLUMN_WIDTH);
    return layoutColumn(columns.flat(), MARGIN, single);
  }
  const limited = Math.min(columnWidth, MAX_COLUMN_WIDTH);
  const gap = (inner - limited * columns.length) / (columns.length - 1);
  return columns.flatMap((column, index) =>
    layoutColumn(column, MARGIN + index * (limited + gap), limited),
  );
}

/** Lays the whole picture out for a width. A pipe to a router that no node has (any more) is left out. */
export function layoutPicture(nodes: readonly ConsoleNode[], width: number): Picture {
  const boxes = layoutColumns(nodes, width);
  const routers = new Map(
    boxes.flatMap(({ workers }) =>
      workers.flatMap((worker) => worker.routers.map(({ key, box }) => [key, box] as const)),
    ),
  );
  const pipes = collectPipes(nodes).flatMap((pipe): PipePath[] => {
    const from = routers.get(pipe.from);
    const to = routers.get(pipe.to);
    return from && to ? [{ ...pipe, path: pipePath(from, to) }] : [];
  });
  const bottom = Math.max(0, ...boxes.map(({ box }) => box.y + box.height));
  return { width, height: bottom + MARGIN, nodes: boxes, pipes };
}

/** How a load reads at a glance. */
export function loadLevel(cpuPercent: number): 'calm' | 'busy' | 'hot' {
  if (cpuPercent >= 80) return 'hot';
  return cpuPercent >= 50 ? 'busy' : 'calm';
}

const HUES = 8;

/** A colour number for each room, the same as long as the rooms are. Rooms are named too: colour only helps. */
export function roomHues(roomIds: readonly string[]): Map<string, number> {
  const sorted = [...new Set(roomIds)].sort((a, b) => a.localeCompare(b));
  return new Map(sorted.map((roomId, index) => [roomId, index % HUES]));
}
