import { z } from 'zod';

import { flag, freeList, freeMap, name, port, stringMap, text } from './parts.ts';

const hostName = z
  .string()
  .regex(/^([a-z0-9*]([-.a-z0-9]*[a-z0-9])?)?$/)
  .max(253);

const tls = z
  .strictObject({
    mode: z
      .enum(['certManager', 'secret', 'generated', 'none'])
      .default('none')
      .describe(
        'where the certificate comes from: cert-manager, a Secret that is there, made by the chart and signed by itself, or there is none here',
      ),
    secretName: name('the Secret of the certificate; with mode `secret` it must be there'),
    issuerRef: z
      .strictObject({
        name: text('its name'),
        kind: z.enum(['Issuer', 'ClusterIssuer']).default('ClusterIssuer').describe('its kind'),
        group: text('its group', 'cert-manager.io'),
      })
      .prefault({})
      .describe('with mode `certManager`: who signs'),
  })
  .prefault({})
  .describe('TLS');

export const ingress = z
  .strictObject({
    enabled: flag('whether there is one', false),
    className: text('its class; empty: the cluster’s default'),
    host: hostName.default('').describe('host name of the page'),
    annotations: stringMap(
      'its annotations, such as time-outs of WebSockets: `nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"`',
    ),
    tls,
  })
  .prefault({})
  .describe('the Ingress');

export const gateway = z
  .strictObject({
    enabled: flag('whether there is a HTTPRoute', false),
    parentRefs: freeList('Gateways, and their listeners, that it belongs to'),
    hostnames: z.array(hostName.min(1)).default([]).describe('host names of the page'),
    scheme: z
      .enum(['https', 'http'])
      .default('https')
      .describe('whether the Gateway’s listeners end TLS'),
    annotations: stringMap('its annotations'),
    requestTimeout: text(
      'longest life of a request, and of a WebSocket; `0s`: none; empty: the Gateway’s default',
      '0s',
    ),
  })
  .prefault({})
  .describe('the HTTPRoute of the Gateway API');

const cidrs = (what: string) => z.array(z.string().min(1)).default([]).describe(what);
const ports = (what: string, fallback: number[]) =>
  z.array(z.int().min(1).max(65535)).default(fallback).describe(what);

const peers = (what: string, fallback: Record<string, unknown>[]) =>
  z.array(z.record(z.string(), z.unknown())).default(fallback).describe(what);

export const networkPolicy = z
  .strictObject({
    enabled: flag(
      'whether pods of the release and media nodes may talk only to whom they need',
      true,
    ),
    kubernetesApi: z
      .strictObject({
        cidrs: cidrs('addresses of the Kubernetes API; empty: all'),
        ports: ports('its ports, at its Service and behind that', [443, 6443]),
      })
      .prefault({})
      .describe('the Kubernetes API, which the operator, signaling and Jobs may reach'),
    postgres: z
      .strictObject({
        cidrs: cidrs('with mode `url`: addresses of Postgres; empty: all'),
        port: port('with mode `url`: its port', 5432),
      })
      .prefault({})
      .describe('Postgres'),
    dns: peers('who answers DNS, as peers of a NetworkPolicy; empty: all', []),
    publicFrom: peers(
      'who may reach the signaling service’s public port, as peers of a NetworkPolicy, such as the ingress controller’s namespace; empty: all',
      [],
    ),
    monitoringFrom: peers('who may read metrics, as peers of a NetworkPolicy', [
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
    ]),
    webhooks: z
      .strictObject({
        to: peers(
          'where endpoints are, as peers of a NetworkPolicy: `ipBlock`s, or pods of the cluster; empty: anywhere',
          [],
        ),
        ports: ports('their ports; of pods those of their containers', [443]),
      })
      .prefault({})
      .describe('endpoints of `signaling.webhooks`, which signaling may reach where there are any'),
    mediaPorts: z
      .strictObject({
        start: port('first port', 20000),
        end: port('last port', 29999),
      })
      .prefault({})
      .describe('ports of media, which hold every `portRange` of the pools; reached from anywhere'),
    pipePorts: z
      .strictObject({
        start: port('first port', 40000),
        end: port('last port', 49999),
      })
      .prefault({})
      .describe('ports of pipes between media nodes: `rtc.pipe` of their configuration'),
    extraEgress: freeMap(
      'more rules for what pods may reach, by component: `operator`, `signaling`, `jobs`, `media`; lists as in a NetworkPolicy',
    ),
  })
  .prefault({})
  .describe('the NetworkPolicies');
