import { z } from 'zod';

import { flag, freeMap, image, name, resources, scheduling, stringMap, text } from './parts.ts';

const cluster = z
  .strictObject({
    instances: z.int().min(1).default(3).describe('servers, of which one is written to'),
    storage: z
      .record(z.string(), z.unknown())
      .default({ size: '10Gi' })
      .describe('`spec.storage` of the Cluster'),
    urlParameters: text(
      'parameters of the connection, such as `sslmode=no-verify`',
      'sslmode=no-verify',
    ),
    annotations: stringMap('annotations of the Cluster'),
    spec: freeMap('further fields of its `spec`, laid over those of the chart'),
  })
  .prefault({})
  .describe('with mode `cluster`: a Cluster of CloudNativePG, whose operator must be there');

const trial = z
  .strictObject({
    image: image('kube-sfu/trial-postgres'),
    resources: resources({
      requests: { cpu: '100m', memory: '256Mi' },
      limits: { memory: '1Gi' },
    }),
    persistence: z
      .strictObject({
        enabled: flag(
          'whether the tables outlive the pod; without that, run `helm upgrade` when the pod was replaced',
          true,
        ),
        size: text('size of the volume', '1Gi'),
        storageClass: text('its class; empty: the cluster’s default'),
        existingClaim: name('a PersistentVolumeClaim to use in place of one that the chart makes'),
      })
      .prefault({})
      .describe('its volume'),
    ...scheduling,
  })
  .prefault({})
  .describe('with mode `trial`: one pod with Postgres, for trials only');

export const postgres = z
  .strictObject({
    mode: z
      .enum(['url', 'cluster', 'trial'])
      .default('url')
      .describe(
        'where the session tables are: at a `url`, in a CloudNativePG `cluster`, or in a `trial` pod',
      ),
    url: text(
      'with mode `url`: `postgres://user:password@host:5432/database`; or `DATABASE_URL` of `secrets.existingSecret`',
    ),
    cluster,
    trial,
  })
  .prefault({})
  .describe('the session tables; one database belongs to one release');

export const secrets = z
  .strictObject({
    existingSecret: name(
      'a Secret in the release’s namespace with `SERVICE_SECRET`, `ROOM_SECRET` (32 characters or more each) and `DATABASE_URL`, with mode `trial` `POSTGRES_PASSWORD`, and with `signaling.webhooks` their `secretKeys` (`whsec_` and 24 to 64 bytes in base64); empty: the chart makes them once and keeps them. Needed where Helm has no cluster to look at, as with GitOps',
    ),
    existingMediaSecret: name(
      'with `existingSecret`: a Secret in the media namespace with `SERVICE_SECRET` and `DATABASE_URL`; may be the same one where both namespaces are one',
    ),
    keep: flag('whether the Secrets that the chart made outlive the release', false),
  })
  .prefault({})
  .describe('what the services sign with, and the database’s address');
