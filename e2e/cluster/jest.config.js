import base from '../../jest.config.js';
import { order } from './sequencer.js';

/**
 * Of the tests on a cluster: they need no Postgres of the machine, and take turns on one installation in a fixed order. Run
 * by `make e2e`.
 *
 * @type {import('jest').Config}
 */
const { globalSetup: _setup, globalTeardown: _teardown, ...config } = base;
export default {
  ...config,
  rootDir: '../..',
  testMatch: order.map((name) => `<rootDir>/e2e/cluster/${name}.test.ts`),
  testSequencer: '<rootDir>/e2e/cluster/sequencer.js',
  maxWorkers: 1,
};
