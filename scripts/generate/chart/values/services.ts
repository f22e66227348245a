import { z } from 'zod';

import {
  count,
  deployment,
  flag,
  freeMap,
  image,
  name,
  pdb,
  port,
  resources,
  scheduling,
  serviceAccount,
  share,
  stringMap,
  text,
} from './parts.ts';

const config = (service: string) =>
  freeMap(
    `keys of the service’s configuration (docs/configuration.md, "${service}") that are laid over those of the chart; the service checks them when it starts`,
  );

export const operator = z
  .strictObject({
    image: image('kube-sfu/operator'),
    replicas: count('how many run; one of them acts, the others stand by', 2),
    config: config('operator'),
    nodeOptions: text(
      'options of Node, so that it collects garbage early; see the installation guide for more than 10,000 rooms',
      '--max-semi-space-size=8 --max-old-space-size=160',
    ),
    resources: resources({
      requests: { cpu: '250m', memory: '384Mi' },
      limits: { memory: '768Mi' },
    }),
    terminationGracePeriodSeconds: count(
      'how long a pod may take to end; longer than `shutdownTimeoutMs` of its configuration, so that the leader lets its Lease go',
      15,
    ),
    pdb,
    serviceAccount,
    ...deployment,
  })
  .prefault({})
  .describe('the operator: places rooms, runs media nodes');

const autoscaling = z
  .strictObject({
    enabled: flag('whether there is one; `signaling.replicas` counts for nothing then', false),
    minReplicas: count('least number of pods', 2),
    maxReplicas: count('largest number of pods', 10),
    targetCPUUtilizationPercentage: count('CPU use to aim at, in percent of what is requested', 60),
    metrics: z
      .array(z.record(z.string(), z.unknown()))
      .default([])
      .describe('metrics in place of the CPU use, as in `autoscaling/v2`'),
    behavior: z
      .record(z.string(), z.unknown())
      .default({ scaleDown: { stabilizationWindowSeconds: 300 } })
      .describe('how fast it scales, as in `autoscaling/v2`'),
  })
  .prefault({})
  .describe('the HorizontalPodAutoscaler');

const service = z
  .strictObject({
    type: z
      .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
      .default('ClusterIP')
      .describe('its type'),
    port: port('its port', 80),
    nodePort: z
      .int()
      .min(0)
      .max(65535)
      .default(0)
      .describe('its port on the machines; 0 lets Kubernetes choose'),
    annotations: stringMap('its annotations'),
    externalTrafficPolicy: z
      .enum(['', 'Cluster', 'Local'])
      .default('')
      .describe('whether clients’ addresses are kept (`Local`); not with ClusterIP'),
    loadBalancerClass: text('class of the load balancer'),
  })
  .prefault({})
  .describe('the Service of clients');

const webhook = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
    .describe('its name in metrics, logs and the tables'),
  url: z.url({ protocol: /^https?$/ }).describe('where events are posted to'),
  events: z.array(z.string().min(1)).min(1).optional().describe('types that it gets; default: all'),
  secretKeys: z
    .array(z.string().regex(/^[A-Z_][A-Z0-9_]*$/))
    .min(1)
    .max(5)
    .optional()
    .describe('keys of the Secret whose values sign; default: `WEBHOOK_SECRET`'),
});

export const signaling = z
  .strictObject({
    image: image('kube-sfu/signaling'),
    replicas: count('how many run', 2),
    config: config('signaling'),
    urls: z
      .array(z.url({ protocol: /^https?$/ }))
      .default([])
      .describe(
        '`public.urls`: addresses of the pages whose browsers may connect; empty: the hosts of `ingress` and `gateway`',
      ),
    trustedProxies: z
      .int()
      .min(-1)
      .default(-1)
      .describe(
        '`public.trustedProxies`: how many proxies in front append to X-Forwarded-For; -1: one with `ingress` or `gateway`, else none',
      ),
    shutdownDelayMs: count(
      '`shutdownDelayMs`: how long a pod that is to end goes on serving, until ingress controllers have noticed',
      5000,
      0,
    ),
    webhooks: z
      .array(webhook)
      .default([])
      .describe(
        '`webhooks.endpoints` (docs/webhooks.md): who gets events of rooms and peers, each with `name`, `url`, `events` and `secretKeys`: keys of the Secret that sign, by default `WEBHOOK_SECRET`, which the chart makes unless `secrets.existingSecret` has them',
      ),
    page: z
      .strictObject({ enabled: flag('whether the service serves the page itself, at `/`', true) })
      .prefault({})
      .describe('the page'),
    nodeOptions: text('options of Node'),
    resources: resources({
      requests: { cpu: '250m', memory: '256Mi' },
      limits: { memory: '768Mi' },
    }),
    terminationGracePeriodSeconds: count(
      'how long a pod may take to end; longer than `shutdownDelayMs` and `shutdownTimeoutMs` of its configuration together, so that peers go to another in order',
      30,
    ),
    maxSurge: share('how many pods more there may be while new ones take the place of old ones', 1),
    autoscaling,
    service,
    pdb,
    serviceAccount,
    ...deployment,
  })
  .prefault({})
  .describe('the signaling service: clients connect to it');

export const media = z
  .strictObject({
    namespace: name('namespace of rooms and pools; empty: the release’s'),
    createNamespace: flag('whether the chart makes it, and removes it with the release', false),
    namespaceLabels: z
      .record(z.string(), z.string())
      .default({ 'pod-security.kubernetes.io/enforce': 'privileged' })
      .describe(
        'labels of the namespace that the chart makes; pools of the modes HostPort and HostNetwork are refused by stricter levels of Pod Security',
      ),
    image: image('kube-sfu/media-node'),
    config: config('media-node'),
    serviceAccount,
  })
  .prefault({})
  .describe('the media nodes, which the operator runs');

const job = {
  resources: resources({ requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } }),
  ...scheduling,
};

export const migrations = z
  .strictObject({
    enabled: flag('whether the chart makes and updates the session tables by a Job', true),
    timeoutSeconds: count('how long the Job may take', 300),
    backoffLimit: count('how often it is tried again', 6, 0),
    ...job,
  })
  .prefault({})
  .describe('the Job of the session tables, by the operator’s image');

export const cleanup = z
  .strictObject({
    enabled: flag(
      'whether `helm uninstall` first deletes all rooms and pools of the media namespace, while the operator is there to undo what it made for them',
      true,
    ),
    timeoutSeconds: count('how long that may take; less than the `--timeout` of Helm', 240),
    ...job,
  })
  .prefault({})
  .describe('the Job before an uninstall, by the operator’s image');

export const poolsJob = z
  .strictObject({
    timeoutSeconds: count('how long the Job may take that applies `pools`', 120),
    backoffLimit: count('how often it is tried again', 3, 0),
    ...job,
  })
  .prefault({})
  .describe('the Job that applies `pools`, by the operator’s image');
