import type { SnapshotIndex } from './index-of.ts';
import type { Finding } from './kinds.ts';
import { inRoom, inRooms, inTable, onInstance, onPod } from './places.ts';

const routerTable = inTable('media_router');
const workerTable = inTable('media_worker');

/** Instances, routers and rooms. */
export function compareRouters(index: SnapshotIndex): Finding[] {
  return [
    ...instances(index),
    ...placements(index),
    ...strayRouters(index),
    ...routerRows(index),
    ...roomRows(index),
  ];
}

function instances(index: SnapshotIndex): Finding[] {
  const { snapshot, workers } = index;
  const ended = snapshot.tables.workers
    .filter(({ instanceId, podName }) => index.stateOf(instanceId, podName) === 'ended')
    .map(({ instanceId, podName }): Finding => ({
      kind: 'InstanceRowWithoutNode',
      ids: { instanceId, podName },
      foundIn: [workerTable],
      missingFrom: [onPod(podName)],
    }));
  const unregistered = snapshot.nodes
    .filter(({ instanceId }) => !workers.has(instanceId))
    .map(({ instanceId, podName }): Finding => ({
      kind: 'InstanceWithoutRow',
      ids: { instanceId, podName },
      foundIn: [onPod(podName)],
      missingFrom: [workerTable],
    }));
  return [...ended, ...unregistered];
}

/** What a room says it has must be on its node and in the tables; a placement that is pending may be. */
function placements(index: SnapshotIndex): Finding[] {
  const { routers, workers } = index;
  return [...index.placements.values()].flatMap(({ room, placement }): Finding[] => {
    const { routerId, podName, instanceId, state } = placement;
    const known = index.stateOf(instanceId, podName);
    if (state === 'Pending' || known === 'silent') return [];
    const ids = { routerId, podName, instanceId };
    const hasRow = routers.has(routerId);
    const isLive = index.isLiveRouter(instanceId, routerId);
    if (!isLive)
      return [
        {
          kind: 'PlacementWithoutRouter',
          ids,
          foundIn: [inRoom(room), ...(hasRow ? [routerTable] : [])],
          missingFrom: [onInstance(podName, instanceId), ...(hasRow ? [] : [routerTable])],
        },
      ];
    if (hasRow || !workers.has(instanceId)) return [];
    return [
      {
        kind: 'PlacementWithoutRow',
        ids,
        foundIn: [inRoom(room), onPod(podName)],
        missingFrom: [routerTable],
      },
    ];
  });
}

function strayRouters({ snapshot, placements: placed, routers }: SnapshotIndex): Finding[] {
  return snapshot.nodes.flatMap(({ podName, routers: live }) =>
    live
      .filter(({ routerId }) => !placed.has(routerId))
      .map(({ routerId, roomId }): Finding => {
        const hasRow = routers.has(routerId);
        return {
          kind: 'RouterWithoutPlacement',
          ids: { routerId, roomId, podName },
          foundIn: [onPod(podName), ...(hasRow ? [routerTable] : [])],
          missingFrom: [inRooms, ...(hasRow ? [] : [routerTable])],
        };
      }),
  );
}

/** Rows of routers that are neither placed nor on the node; those of an ended instance go with its row. */
function routerRows(index: SnapshotIndex): Finding[] {
  return index.snapshot.tables.routers.flatMap(({ id, instanceId }): Finding[] => {
    const node = index.nodes.get(instanceId);
    const placement = index.placements.get(id)?.placement;
    const isPlaced = placement !== undefined && placement.state !== 'Pending';
    if (!node || isPlaced || index.isLiveRouter(instanceId, id)) return [];
    return [
      {
        kind: 'RowWithoutObject',
        ids: { routerId: id, podName: node.podName },
        foundIn: [routerTable],
        missingFrom: [onPod(node.podName)],
      },
    ];
  });
}

function roomRows({ snapshot }: SnapshotIndex): Finding[] {
  const { rooms, routers, peers } = snapshot.tables;
  const used = new Set([
    ...snapshot.resources.rooms.map(({ name }) => name),
    ...routers.map(({ roomId }) => roomId),
    ...peers.map(({ roomId }) => roomId),
  ]);
  return rooms
    .filter(({ id }) => !used.has(id))
    .map(({ id }) => ({
      kind: 'RoomRowWithoutRoom',
      ids: { roomId: id },
      foundIn: [inTable('media_room')],
      missingFrom: [inRooms, routerTable, inTable('media_peer')],
    }));
}
