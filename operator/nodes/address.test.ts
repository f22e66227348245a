import { describe, expect, it } from '@jest/globals';

import type { MediaWorker } from '../../common/resources/types.ts';
import type { KubernetesNode, Pod } from '../cluster.ts';
import { decideAddress } from './address.ts';

type Network = MediaWorker['spec']['network'];

const makeNetwork = (change: Partial<Network> = {}): Network => ({
  mode: 'HostPort',
  portRange: { start: 1, end: 2 },
  ...change,
});
const makePod = (podIP?: string): Pod =>
  ({ status: { phase: 'Running', podIP } }) as unknown as Pod;
const makeMachine = (...addresses: [string, string][]): KubernetesNode => ({
  metadata: { name: 'machine', uid: 'uid', resourceVersion: '1' },
  spec: {},
  status: { addresses: addresses.map(([type, address]) => ({ type, address })) },
});
const both = makeMachine(
  ['Hostname', 'machine'],
  ['InternalIP', '10.0.0.1'],
  ['ExternalIP', '198.51.100.7'],
);

interface Case {
  name: string;
  network?: Partial<Network>;
  podIP?: string | undefined;
  machine?: KubernetesNode | undefined;
  want: string | undefined;
}

const cases: Case[] = [
  { name: "the external address of the pod's machine", machine: both, want: '198.51.100.7' },
  {
    name: 'its internal address where it has no external one',
    machine: makeMachine(['Hostname', 'machine'], ['InternalIP', '10.0.0.1']),
    want: '10.0.0.1',
  },
  {
    name: 'the address that the pool gives',
    network: { announcedAddress: 'sfu.example.com' },
    machine: both,
    want: 'sfu.example.com',
  },
  {
    name: 'the address that the pool gives, where clients reach pods',
    network: { mode: 'PodIP', announcedAddress: 'sfu.example.com' },
    want: 'sfu.example.com',
  },
  {
    name: "the pod's own where clients reach pods",
    network: { mode: 'PodIP' },
    machine: both,
    want: '10.1.0.1',
  },
  {
    name: 'the address of the family that the pod listens on',
    podIP: 'fd00::1',
    machine: makeMachine(['ExternalIP', '198.51.100.7'], ['ExternalIP', '2001:db8::7']),
    want: '2001:db8::7',
  },
  {
    name: 'the external address even where its family is another',
    podIP: 'fd00::1',
    machine: makeMachine(['InternalIP', 'fd00::2'], ['ExternalIP', '198.51.100.7']),
    want: '198.51.100.7',
  },
  { name: 'nothing where the machine is not known', want: undefined },
  {
    name: 'nothing where the machine has only a name',
    machine: makeMachine(['Hostname', 'm']),
    want: undefined,
  },
  {
    name: 'nothing before the pod has an address',
    network: { mode: 'PodIP' },
    podIP: undefined,
    want: undefined,
  },
];

describe('decideAddress', () => {
  it.each(cases)('is $name', ({ network, machine, want, ...given }) => {
    const pod = makePod('podIP' in given ? given.podIP : '10.1.0.1');
    expect(decideAddress({ pod, network: makeNetwork(network), machine })).toBe(want);
  });
});
