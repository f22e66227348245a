import { describe, expect, it } from '@jest/globals';

import type { MediaWorker } from '../../common/resources/types.ts';
import { validateResource } from '../../common/resources/validate.ts';
import { buildPod, specHash } from './build-pod.ts';

const makeWorker = (spec: Record<string, unknown> = {}): MediaWorker => {
  const worker = validateResource({
    apiVersion: 'kube-sfu.dev/v1alpha1',
    kind: 'MediaWorker',
    metadata: { name: 'pool', namespace: 'media', uid: 'uid' },
    spec: { role: 'Consumer', workersPerNode: 2, ...spec },
  });
  return worker as MediaWorker;
};
const options = {
  ordinal: 3,
  ports: { start: 20000, end: 20001 },
  apiPort: 3000,
  terminationGracePeriodSeconds: 8,
};
const envOf = (worker: MediaWorker) =>
  Object.fromEntries(
    buildPod(worker, options).spec.containers[0].env.map((item) => [
      item.name,
      'value' in item ? item.value : item.valueFrom.fieldRef.fieldPath,
    ]),
  );

describe('buildPod', () => {
  it('names the pod after pool and ordinal, and ties it to its pool', () => {
    const { metadata } = buildPod(makeWorker(), options);
    expect(metadata).toMatchObject({
      name: 'pool-3',
      namespace: 'media',
      labels: { 'kube-sfu.dev/pool': 'pool', 'kube-sfu.dev/role': 'Consumer' },
      annotations: { 'kube-sfu.dev/ports': '20000-20001' },
      ownerReferences: [{ kind: 'MediaWorker', name: 'pool', uid: 'uid', controller: true }],
    });
  });

  it('tells the node who it is in its environment', () => {
    expect(envOf(makeWorker())).toEqual({
      POD_NAME: 'metadata.name',
      POD_IP: 'status.podIP',
      POOL: 'pool',
      ROLE: 'Consumer',
      API_PORT: '3000',
      RTC_PORT_START: '20000',
      RTC_WORKERS: '2',
      ANNOUNCED_ADDRESS: 'status.hostIP',
    });
  });

  it('announces the address that is given, else the one that clients reach', () => {
    const network = { announcedAddress: 'sfu.example.com' };
    expect(envOf(makeWorker({ network }))['ANNOUNCED_ADDRESS']).toBe('sfu.example.com');
    expect(envOf(makeWorker({ network: { mode: 'PodIP' } }))['ANNOUNCED_ADDRESS']).toBe(
      'status.podIP',
    );
  });

  it.each([
    { mode: 'HostPort', wantHostPort: 20000, wantHostNetwork: undefined },
    { mode: 'HostNetwork', wantHostPort: undefined, wantHostNetwork: true },
    { mode: 'PodIP', wantHostPort: undefined, wantHostNetwork: undefined },
  ])('opens its ports in mode $mode', ({ mode, wantHostPort, wantHostNetwork }) => {
    const { spec } = buildPod(makeWorker({ network: { mode } }), options);
    const { ports } = spec.containers[0];
    expect(ports).toHaveLength(5);
    expect(ports[0]).toEqual({ name: 'api', containerPort: 3000, protocol: 'TCP' });
    expect(ports[1]).toMatchObject({ name: 'rtc-udp-20000', containerPort: 20000 });
    expect(ports[1]?.hostPort).toBe(wantHostPort);
    expect(spec.hostNetwork).toBe(wantHostNetwork);
  });
});

describe('specHash', () => {
  it('changes with what a pod is made of, and with nothing else', () => {
    const hash = specHash(makeWorker());
    expect(specHash(makeWorker({ replicas: 9, drain: { timeoutSeconds: 1 } }))).toBe(hash);
    expect(specHash(makeWorker({ capacity: { routersPerWorker: 1 } }))).toBe(hash);
    expect(specHash(makeWorker({ workersPerNode: 3 }))).not.toBe(hash);
    expect(specHash(makeWorker({ network: { mode: 'PodIP' } }))).not.toBe(hash);
    expect(specHash(makeWorker({ network: { announcedAddress: 'a' } }))).not.toBe(hash);
  });
});
