/** Parts that several sections of the chart's values have in common. */
import { z } from 'zod';

/** Any object, whose keys Kubernetes or a service checks itself: the only places where unknown keys are taken. */
export const freeMap = (what: string) =>
  z.record(z.string(), z.unknown()).default({}).describe(what);

export const freeList = (what: string) =>
  z.array(z.record(z.string(), z.unknown())).default([]).describe(what);

export const stringMap = (what: string) =>
  z.record(z.string(), z.string()).default({}).describe(what);

export const text = (what: string, fallback = '') => z.string().default(fallback).describe(what);

export const flag = (what: string, fallback: boolean) =>
  z.boolean().default(fallback).describe(what);

export const count = (what: string, fallback: number, least = 1) =>
  z.int().min(least).max(2_147_483_647).default(fallback).describe(what);

export const port = (what: string, fallback: number) =>
  z.int().min(1).max(65535).default(fallback).describe(what);

/** A number or a percentage, as disruption budgets and rolling updates take it. */
export const share = (what: string, fallback: number | string) =>
  z
    .union([z.int().min(0), z.string().regex(/^[0-9]+%$/)])
    .default(fallback)
    .describe(what);

/** A name of Kubernetes, or none. */
export const name = (what: string) =>
  z
    .string()
    .regex(/^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$/)
    .max(253)
    .default('')
    .describe(what);

export const image = (repository: string) =>
  z
    .strictObject({
      repository: text('its name in the registry, without tag', repository),
      tag: text('its tag; empty: the chart’s appVersion'),
      digest: z
        .string()
        .regex(/^(sha256:[0-9a-f]{64})?$/)
        .default('')
        .describe('its digest, as `sha256:…`, which then counts in place of the tag'),
      pullPolicy: z
        .enum(['', 'Always', 'IfNotPresent', 'Never'])
        .default('')
        .describe('when it is pulled; empty: as `image.pullPolicy` says'),
    })
    .prefault({})
    .describe('the image');

export const resources = (fallback: Record<string, Record<string, string>>) =>
  z
    .record(z.string(), z.unknown())
    .default(fallback)
    .describe('requests and limits of the container');

/** Where and how pods run. */
export const scheduling = {
  podAnnotations: stringMap('annotations of the pods'),
  podLabels: stringMap('more labels of the pods'),
  priorityClassName: text('priority class of the pods'),
  nodeSelector: stringMap('labels of the machines to run on'),
  tolerations: freeList('taints of machines that are tolerated'),
  affinity: freeMap('affinity of the pods'),
};

/** What a Deployment of ours has besides. */
export const deployment = {
  annotations: stringMap('annotations of the Deployment'),
  ...scheduling,
  topologySpreadConstraints: freeList(
    'how pods are spread, with a selector of their own each; empty: over machines, where that is possible',
  ),
  extraEnv: freeList('more environment variables of the container, as in a pod'),
};

export const pdb = z
  .strictObject({
    enabled: flag('whether there is one', true),
    maxUnavailable: share('how many pods may be evicted at a time', 1),
  })
  .prefault({})
  .describe('the PodDisruptionBudget');

export const serviceAccount = z
  .strictObject({ annotations: stringMap('its annotations') })
  .prefault({})
  .describe('the service account');
