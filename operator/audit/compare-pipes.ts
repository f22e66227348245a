import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { SnapshotIndex } from './index-of.ts';
import type { Finding } from './kinds.ts';
import { inTable, onInstance, onPod } from './places.ts';

type Pipe = NodeObjects['pipes'][number];

const pipeTable = inTable('media_pipe_transport');
/** A destination looks for what it can let go of twice in the time that it keeps it. */
const idleLooks = 2;

/** Pipes: each end with the other one, with its row, and with what is used of it. */
export function comparePipes(index: SnapshotIndex): Finding[] {
  return [
    ...index.snapshot.nodes.flatMap((node) =>
      node.pipes.flatMap((pipe) => [
        ...recorded(index, node, pipe),
        ...farEnd(index, node, pipe),
        ...unused(node, pipe),
      ]),
    ),
    ...pipeRows(index),
  ];
}

function recorded(
  { pipes, routers }: SnapshotIndex,
  { podName }: NodeObjects,
  { pipeTransportId, routerId, remoteRouterId }: Pipe,
): Finding[] {
  const mayHaveRow = routers.has(routerId) && routers.has(remoteRouterId);
  if (pipes.has(pipeTransportId) || !mayHaveRow) return [];
  return [
    {
      kind: 'ObjectWithoutRow',
      ids: { pipeTransportId, podName },
      foundIn: [onPod(podName)],
      missingFrom: [pipeTable],
    },
  ];
}

function pipeRows({ snapshot, nodes }: SnapshotIndex): Finding[] {
  const live = new Set(
    snapshot.nodes.flatMap(({ pipes }) => pipes.map(({ pipeTransportId }) => pipeTransportId)),
  );
  return snapshot.tables.pipes.flatMap(({ id, instanceId }): Finding[] => {
    const node = nodes.get(instanceId);
    if (!node || live.has(id)) return [];
    return [
      {
        kind: 'RowWithoutObject',
        ids: { pipeTransportId: id, podName: node.podName },
        foundIn: [pipeTable],
        missingFrom: [onPod(node.podName)],
      },
    ];
  });
}

function farEnd(index: SnapshotIndex, node: NodeObjects, pipe: Pipe): Finding[] {
  const { pipeTransportId, remotePipeTransportId, remoteInstanceId, end } = pipe;
  if (index.stateOf(remoteInstanceId) === 'silent') return [];
  const other = index.livePipes.get(remotePipeTransportId);
  if (!other) {
    const { podName: farPod } =
      index.nodes.get(remoteInstanceId) ?? index.workers.get(remoteInstanceId) ?? {};
    return [
      {
        kind: 'PipeWithoutFarEnd',
        ids: { pipeTransportId, remotePipeTransportId, end, podName: node.podName },
        foundIn: [onPod(node.podName)],
        missingFrom: [
          farPod === undefined
            ? `instance ${remoteInstanceId}`
            : onInstance(farPod, remoteInstanceId),
        ],
      },
    ];
  }
  // Once for both ends.
  return end === 'destination' ? contents(other, { node, pipe }) : [];
}

interface End {
  node: NodeObjects;
  pipe: Pipe;
}

function contents(source: End, destination: End): Finding[] {
  const only = (here: End, there: End): Finding[] => {
    const has = new Set([...there.pipe.producerIds, ...there.pipe.dataProducerIds]);
    return [...here.pipe.producerIds, ...here.pipe.dataProducerIds]
      .filter((id) => !has.has(id))
      .map((producerId) => ({
        kind: 'PipeContentsDiffer',
        ids: { producerId, pipeTransportId: destination.pipe.pipeTransportId },
        foundIn: [`${onPod(here.node.podName)}, ${here.pipe.end}`],
        missingFrom: [`${onPod(there.node.podName)}, ${there.pipe.end}`],
      }));
  };
  return [...only(source, destination), ...only(destination, source)];
}

function unused({ podName, limits }: NodeObjects, pipe: Pipe): Finding[] {
  const mostMs = limits.pipeIdleMs * (1 + 1 / idleLooks);
  return pipe.unused
    .filter(({ forMs }) => forMs > mostMs)
    .map(({ id }) => ({
      kind: 'PipedProducerUnused',
      ids: { producerId: id, pipeTransportId: pipe.pipeTransportId, podName },
      foundIn: [onPod(podName)],
      missingFrom: ['every consumer there'],
    }));
}
