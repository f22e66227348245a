/** One object of each kind with every field that a user may set. */
export const fullWorker = {
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaWorker',
  metadata: { name: 'pool', namespace: 'default' },
  spec: {
    role: 'Consumer',
    replicas: 2,
    workersPerNode: 2,
    image: 'example.com/kube-sfu:1.2.3',
    resources: {
      requests: { cpu: '500m', memory: '1Gi' },
      limits: { cpu: 2, memory: '2Gi' },
    },
    podTemplate: {
      metadata: { labels: { team: 'video' }, annotations: { 'example.com/owner': 'video' } },
      spec: { nodeSelector: { 'example.com/media': 'yes' } },
    },
    rollout: { maxSurge: 2 },
    autoscaling: {
      minReplicas: 2,
      maxReplicas: 4,
      targetConsumersPerWorker: 400,
      targetCPUPercent: 70,
      scaleUp: { stabilizationWindowSeconds: 5 },
      scaleDown: { stabilizationWindowSeconds: 60 },
    },
    capacity: { consumersPerWorker: 500, producersPerWorker: 250, routersPerWorker: 100 },
    network: {
      mode: 'HostPort',
      portRange: { start: 20000, end: 20099 },
      announcedAddress: 'media.example.com',
    },
    drain: { timeoutSeconds: 60, maxConcurrentRooms: 5 },
    rooms: { createOnJoin: true },
  },
};

export const fullRoom = {
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaRoom',
  metadata: { name: 'room', namespace: 'default' },
  spec: {
    mediaCodecs: [
      {
        kind: 'audio',
        mimeType: 'audio/opus',
        clockRate: 48000,
        channels: 2,
        preferredPayloadType: 100,
        parameters: { useinbandfec: 1 },
        rtcpFeedback: [{ type: 'nack', parameter: 'pli' }],
      },
    ],
    maxPeers: 50,
    producers: { selector: { matchLabels: { zone: 'a' } }, routers: 1 },
    consumers: { selector: { matchLabels: { zone: 'a' } }, routers: 2, maxRouters: 4 },
    idlePolicy: { action: 'Delete', afterSeconds: 60 },
    ttlSeconds: 3600,
  },
};
