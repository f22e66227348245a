import type { RoomView } from './snapshot.ts';

/** The places by name, as findings tell them. */
export const inRoom = ({ namespace, name }: RoomView): string => `MediaRoom ${namespace}/${name}`;
export const inRooms = 'MediaRooms';
export const inPools = 'MediaWorkers';
export const inTable = (name: string): string => `table ${name}`;
export const onPod = (name: string): string => `pod ${name}`;
export const onInstance = (podName: string, instanceId: string): string =>
  `pod ${podName}, instance ${instanceId}`;
