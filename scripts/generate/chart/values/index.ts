/** The values of the Helm chart: what there is, what is expected, the defaults. */
import { z } from 'zod';

import { monitoring } from './monitoring.ts';
import { gateway, ingress, networkPolicy } from './network.ts';
import { flag, freeMap, name, stringMap, text } from './parts.ts';
import { cleanup, media, migrations, operator, poolsJob, signaling } from './services.ts';
import { postgres, secrets } from './state.ts';

const image = z
  .strictObject({
    registry: text(
      'registry of all images, before each `repository`, such as `registry.example.com`',
    ),
    pullPolicy: z
      .enum(['Always', 'IfNotPresent', 'Never'])
      .default('IfNotPresent')
      .describe('when images are pulled that say nothing themselves'),
    pullSecrets: z
      .array(z.strictObject({ name: z.string().min(1).describe('name of the Secret') }))
      .default([])
      .describe('Secrets with which images are pulled; in the media namespace too'),
  })
  .prefault({})
  .describe('what all images have in common');

const crds = z
  .strictObject({
    enabled: flag(
      'whether this release brings the kinds MediaRoom and MediaWorker; of several releases only one can',
      true,
    ),
    keep: flag(
      'whether they outlive the release; without that, all rooms and pools in the cluster go with it',
      true,
    ),
  })
  .prefault({})
  .describe('the CustomResourceDefinitions');

const pool = z.strictObject({
  labels: stringMap('its labels'),
  annotations: stringMap('its annotations'),
  spec: freeMap('its spec (docs/resources.md), which the API server checks'),
});

const tests = z
  .strictObject({ enabled: flag('whether `helm test` has its pod', true) })
  .prefault({})
  .describe('`helm test`');

/** All the values. */
export const chartValues = z.strictObject({
  nameOverride: name('name of the chart in labels and names'),
  fullnameOverride: name('beginning of all names; empty: from the release and the chart'),
  commonLabels: stringMap('more labels of every object'),
  image,
  crds,
  operator,
  signaling,
  media,
  pools: z
    .record(z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/), pool)
    .default({})
    .describe('MediaWorkers that the release brings, by name; see docs/samples for specs'),
  poolsJob,
  postgres,
  secrets,
  migrations,
  cleanup,
  ingress,
  gateway,
  networkPolicy,
  monitoring,
  tests,
  global: freeMap('what a chart above this one shares with its parts; not read'),
});
