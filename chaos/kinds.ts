/** Every fault that there is; a platform may lack what some of them need. */
export const faultKinds = [
  'consumer-kill',
  'producer-kill',
  'worker-kill',
  'node-pause-500ms',
  'node-pause-1s',
  'node-pause-10s',
  'drain',
  'rollout',
  'roll-pools',
  'scale',
  'signaling-kill',
  'signaling-term',
  'signaling-pause',
  'operator-kill',
  'postgres-restart',
  'postgres-kill',
  'api-server-kill',
  'etcd-pause',
  'sockets-reset',
  'sockets-silent',
  'udp-cut',
  'node-cut',
  'postgres-disk-full',
  'log-disk-full',
] as const;

export type FaultKind = (typeof faultKinds)[number];
