import { describe, expect, it } from '@jest/globals';

import { parseConfig } from '../common/service/config.ts';
import { checkSample } from '../testing/sample-config.ts';
import { operatorConfig } from './config.ts';

const env = {
  SERVICE_SECRET: 'a secret of the tests, long enough',
  DATABASE_URL: 'postgres://127.0.0.1/kube_sfu',
  RESOURCES_DIR: '/resources',
  KUBECONFIG: '/kubeconfig',
  LOG_DIR: '/logs',
};
const minimal = `
serviceAuth: {secret: '${env.SERVICE_SECRET}'}
local:
  resources: {dir: /resources}
  api: {kubeconfig: /kubeconfig}
  pods: {command: [node, media-node/main.ts]}
`;

describe("the operator's configuration", () => {
  it('has a sample that the operator takes, with every key in it, each described', () => {
    expect(checkSample('operator.yaml', operatorConfig, env)).toEqual({
      missing: [],
      undescribed: [],
    });
  });

  it('has the defaults that its sample shows', () => {
    const config = parseConfig(operatorConfig, minimal, {});
    expect(config.database).toBeUndefined();
    expect(config.nodes).toMatchObject({ intervalMs: 1000, staleAfterMisses: 2 });
    expect(config.local?.pods.restartBackoff).toEqual({
      initialMs: 500,
      maxMs: 30_000,
      resetAfterMs: 60_000,
    });
  });

  it.each([
    { name: 'an unknown key', text: `${minimal}\nnodez: {}\n`, want: 'nodez' },
    {
      name: 'an unknown nested key',
      text: `${minimal}\nnodes: {intervalMS: 3}\n`,
      want: 'intervalMS',
    },
    {
      name: 'a short secret',
      text: minimal.replace(env.SERVICE_SECRET, 'short'),
      want: 'serviceAuth.secret',
    },
    {
      name: 'an address that is not loopback',
      text: minimal.replace('api: {', 'api: {host: 0.0.0.0, '),
      want: 'local.api.host',
    },
    {
      name: 'ports in the wrong order',
      text: minimal.replace('pods: {', 'pods: {apiPorts: {start: 9, end: 8}, '),
      want: 'local.pods.apiPorts.end',
    },
    {
      name: 'less time for itself than for its nodes',
      text: `${minimal}\nshutdownTimeoutMs: 5000\n`,
      want: 'shutdownTimeoutMs',
    },
  ])('refuses $name', ({ text, want }) => {
    expect(() => parseConfig(operatorConfig, text, {})).toThrow(want);
  });
});
