import type { ConsoleNode, ConsoleResponse, ConsoleRoom } from '../../../common/wire/console.ts';
import { collectPipes } from './picture-layout.ts';

interface Column<T> {
  name: string;
  /** Numbers line up at the right. */
  numeric?: boolean;
  cell: (item: T) => string;
}

interface DataTableProps<T> {
  caption: string;
  empty: string;
  items: readonly T[];
  keyOf: (item: T) => string;
  columns: Column<T>[];
}

/** A table whose first column names its rows. It scrolls by itself where the screen is narrow. */
function DataTable<T>({ caption, empty, items, keyOf, columns }: DataTableProps<T>) {
  return (
    <div class="table" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, numeric }) => (
              <th key={name} scope="col" class={numeric ? 'number' : ''}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.length === 0 && (
            <tr>
              <td colSpan={columns.length}>{empty}</td>
            </tr>
          )}
          {items.map((item) => (
            <tr key={keyOf(item)}>
              {columns.map(({ name, numeric, cell }, index) =>
                index === 0 ? (
                  <th key={name} scope="row">
                    {cell(item)}
                  </th>
                ) : (
                  <td key={name} class={numeric ? 'number' : ''}>
                    {cell(item)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type NodeWorker = ConsoleNode['workers'][number] & { podName: string };
type NodeRouter = ConsoleNode['routers'][number] & { podName: string };

const nodeColumns: Column<ConsoleNode>[] = [
  { name: 'Node', cell: ({ podName }) => podName },
  { name: 'Pool', cell: ({ pool }) => pool },
  { name: 'Role', cell: ({ role }) => role },
  { name: 'State', cell: ({ state }) => state },
  { name: 'CPU', numeric: true, cell: ({ load }) => `${load.cpuPercent} %` },
  { name: 'Peers', numeric: true, cell: ({ load }) => String(load.peers) },
  { name: 'Producers', numeric: true, cell: ({ load }) => String(load.producers) },
  { name: 'Consumers', numeric: true, cell: ({ load }) => String(load.consumers) },
  { name: 'Address', cell: ({ url }) => url },
];

const workerColumns: Column<NodeWorker>[] = [
  { name: 'Worker', cell: ({ podName, index }) => `${podName} / ${index}` },
  { name: 'CPU', numeric: true, cell: ({ cpuPercent }) => `${cpuPercent} %` },
  { name: 'Routers', numeric: true, cell: ({ routers }) => String(routers) },
  { name: 'Consumers', numeric: true, cell: ({ consumers }) => String(consumers) },
  { name: 'Port', numeric: true, cell: ({ port }) => String(port) },
  { name: 'Process', numeric: true, cell: ({ pid }) => String(pid) },
];

const placementText = (room: ConsoleRoom): string =>
  room.placements.map(({ role, podName, state }) => `${role}: ${podName} (${state})`).join(', ');

const roomColumns: Column<ConsoleRoom>[] = [
  { name: 'Room', cell: ({ name }) => name },
  { name: 'Ready', cell: ({ ready, reason }) => (ready ? 'yes' : `no: ${reason}`) },
  { name: 'Peers', numeric: true, cell: ({ peers }) => String(peers) },
  { name: 'Placed on', cell: (room) => placementText(room) || 'nothing yet' },
];

const routerColumns: Column<NodeRouter>[] = [
  { name: 'Router', cell: ({ routerId }) => routerId },
  { name: 'Room', cell: ({ roomId }) => roomId },
  { name: 'On', cell: ({ podName, workerIndex }) => `${podName} / ${workerIndex}` },
  { name: 'Role', cell: ({ role }) => role },
  { name: 'Peers', numeric: true, cell: ({ peers }) => String(peers) },
  { name: 'Producers', numeric: true, cell: ({ producers }) => String(producers) },
  { name: 'Consumers', numeric: true, cell: ({ consumers }) => String(consumers) },
];

interface NamedPipe {
  key: string;
  roomId: string;
  from: string;
  to: string;
  producers: number;
  dataProducers: number;
}

const pipeColumns: Column<NamedPipe>[] = [
  { name: 'From', cell: ({ from }) => from },
  { name: 'To', cell: ({ to }) => to },
  { name: 'Room', cell: ({ roomId }) => roomId },
  { name: 'Producers', numeric: true, cell: ({ producers }) => String(producers) },
  { name: 'Data', numeric: true, cell: ({ dataProducers }) => String(dataProducers) },
];

const poolColumns: Column<ConsoleResponse['pools'][number]>[] = [
  { name: 'Pool', cell: ({ name }) => name },
  { name: 'Role', cell: ({ role }) => role },
  { name: 'Ready', numeric: true, cell: (pool) => `${pool.readyReplicas} of ${pool.replicas}` },
];

const replicaColumns: Column<ConsoleResponse['replicas'][number]>[] = [
  { name: 'Replica', cell: ({ id }) => id },
  { name: 'Address', cell: ({ url }) => url },
  { name: 'Peers', numeric: true, cell: ({ peers }) => String(peers) },
];

/** Pipe ends by the names of their nodes; one that no longer answers keeps its instance id. */
function namedPipes(nodes: readonly ConsoleNode[]): NamedPipe[] {
  const names = new Map(nodes.map(({ instanceId, podName }) => [instanceId, podName]));
  const nameOf = (routerKey: string) => {
    const [instanceId = '', ...routerId] = routerKey.split('/');
    return `${routerId.join('/')} on ${names.get(instanceId) ?? instanceId}`;
  };
  return collectPipes(nodes).map((pipe) => ({
    ...pipe,
    from: nameOf(pipe.from),
    to: nameOf(pipe.to),
  }));
}

/** All that the picture shows, and more, as tables. */
export function Tables({ answer }: { answer: ConsoleResponse }) {
  const { nodes, pools, rooms, replicas } = answer;
  const ofNodes = <T,>(pick: (node: ConsoleNode) => T[]) =>
    nodes.flatMap((node) => pick(node).map((item) => ({ ...item, podName: node.podName })));
  return (
    <section class="tables" aria-labelledby="tables-heading">
      <h2 id="tables-heading">In numbers</h2>
      <DataTable
        caption="Rooms"
        empty="No rooms."
        items={rooms}
        keyOf={({ name }) => name}
        columns={roomColumns}
      />
      <DataTable
        caption="Pools"
        empty="No pools."
        items={pools}
        keyOf={({ name }) => name}
        columns={poolColumns}
      />
      <DataTable
        caption="Nodes"
        empty="No node has answered yet."
        items={nodes}
        keyOf={({ instanceId }) => instanceId}
        columns={nodeColumns}
      />
      <DataTable
        caption="Workers"
        empty="No workers."
        items={ofNodes(({ workers }) => workers)}
        keyOf={({ podName, index }) => `${podName}/${index}`}
        columns={workerColumns}
      />
      <DataTable
        caption="Routers"
        empty="No routers."
        items={ofNodes(({ routers }) => routers)}
        keyOf={({ podName, routerId }) => `${podName}/${routerId}`}
        columns={routerColumns}
      />
      <DataTable
        caption="Pipes"
        empty="No pipes: nobody watches from another node than the one published to."
        items={namedPipes(nodes)}
        keyOf={({ key }) => key}
        columns={pipeColumns}
      />
      <DataTable
        caption="Signaling replicas"
        empty="No replica."
        items={replicas}
        keyOf={({ id }) => id}
        columns={replicaColumns}
      />
    </section>
  );
}
