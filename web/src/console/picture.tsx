import {
  loadLevel,
  type Box,
  type NodeBox,
  type Picture,
  type PipePath,
  type RouterBox,
  type WorkerBox,
} from './picture-layout.ts';

interface Common {
  hues: Map<string, number>;
  /** The room that stands out; the others are dimmed. */
  chosen: string | undefined;
}

const roomClass = (roomId: string, { hues, chosen }: Common): string =>
  `hue-${hues.get(roomId) ?? 0}${chosen !== undefined && chosen !== roomId ? ' dim' : ''}`;

/** Roughly what fits: SVG text does not shorten itself. */
const CHARACTER_WIDTH = 7.2;
function shorten(text: string, width: number): string {
  const most = Math.max(4, Math.floor(width / CHARACTER_WIDTH));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** A bar for the load, with the number beside it. */
function LoadBar({ box, percent }: { box: Box; percent: number }) {
  const share = Math.min(100, Math.max(0, percent)) / 100;
  return (
    <g class={`load ${loadLevel(percent)}`}>
      <rect class="rail" {...box} rx={box.height / 2} />
      <rect
        class="fill"
        {...box}
        width={Math.max(box.height, box.width * share)}
        rx={box.height / 2}
      />
    </g>
  );
}

function RouterView({ routerBox, ...common }: Common & { routerBox: RouterBox }) {
  const { box, router } = routerBox;
  const middle = box.y + box.height / 2;
  const counts = `${router.producers} in · ${router.consumers} out`;
  return (
    <g class={`router ${roomClass(router.roomId, common)}`}>
      <title>
        {`${router.routerId}: room ${router.roomId}, ${router.peers} peers, ${router.transports} transports, ` +
          `${router.producers} producers, ${router.consumers} consumers, generation ${router.generation}`}
      </title>
      <rect {...box} rx={7} />
      <text x={box.x + 12} y={middle} class="strong">
        {shorten(router.roomId, box.width - 24 - counts.length * CHARACTER_WIDTH)}
      </text>
      <text x={box.x + box.width - 12} y={middle} text-anchor="end">
        {counts}
      </text>
    </g>
  );
}

function WorkerView({ workerBox, ...common }: Common & { workerBox: WorkerBox }) {
  const { box, worker, routers } = workerBox;
  const middle = box.y + 12;
  return (
    <g class="worker">
      <title>{`Worker ${worker.index}: process ${worker.pid}, port ${worker.port}`}</title>
      <text x={box.x + 6} y={middle}>
        {`worker ${worker.index}`}
      </text>
      <text x={box.x + box.width - 6} y={middle} text-anchor="end">
        {`${worker.cpuPercent} %`}
      </text>
      <LoadBar
        box={{ x: box.x + 72, y: middle - 3, width: Math.max(20, box.width - 126), height: 6 }}
        percent={worker.cpuPercent}
      />
      {routers.map((routerBox) => (
        <RouterView key={routerBox.key} routerBox={routerBox} {...common} />
      ))}
    </g>
  );
}

function NodeView({ nodeBox, ...common }: Common & { nodeBox: NodeBox }) {
  const { box, node, workers } = nodeBox;
  const { load } = node;
  const role = `${node.role}${node.state === 'Draining' ? ', draining' : ''}`;
  return (
    <g class={`node ${node.state.toLowerCase()}`}>
      <title>{`${node.podName}, pool ${node.pool}, ${node.url}, version ${node.version}`}</title>
      <rect {...box} rx={12} />
      <text x={box.x + 14} y={box.y + 22} class="title">
        {shorten(node.podName, box.width - 40 - role.length * CHARACTER_WIDTH)}
      </text>
      <text x={box.x + box.width - 14} y={box.y + 22} text-anchor="end">
        {role}
      </text>
      <text x={box.x + 14} y={box.y + 44} class="faint">
        {shorten(
          `${load.peers} peers · ${load.producers} producers · ${load.consumers} consumers`,
          box.width - 28,
        )}
      </text>
      {workers.map((workerBox) => (
        <WorkerView key={workerBox.worker.index} workerBox={workerBox} {...common} />
      ))}
    </g>
  );
}

const THINNEST = 1.5;
const THICKEST = 7;

function PipeView({ pipe, ...common }: Common & { pipe: PipePath }) {
  const streams = pipe.producers + pipe.dataProducers;
  const thickness = Math.min(THICKEST, THINNEST + streams * 0.4);
  return (
    <g class={`pipe ${roomClass(pipe.roomId, common)}`}>
      <title>
        {`Pipe of room ${pipe.roomId}: ${pipe.producers} producers, ${pipe.dataProducers} data producers`}
      </title>
      <path d={pipe.path} stroke-width={thickness} />
      {streams > 0 && <path d={pipe.path} class="flow" stroke-width={Math.max(1, thickness / 2)} />}
    </g>
  );
}

/** The platform as a picture: nodes with their workers and routers, and the pipes between routers. */
export function PictureView({ picture, ...common }: Common & { picture: Picture }) {
  const { width, height, nodes, pipes } = picture;
  return (
    <svg
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      role="img"
      aria-label={`${nodes.length} nodes and ${pipes.length} pipes. The tables below say the same in words.`}
    >
      {nodes.map((nodeBox) => (
        <NodeView key={nodeBox.node.instanceId} nodeBox={nodeBox} {...common} />
      ))}
      {pipes.map((pipe) => (
        <PipeView key={pipe.key} pipe={pipe} {...common} />
      ))}
    </svg>
  );
}
