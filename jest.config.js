/** @param {boolean} tsx */
const swc = (tsx) => [
  '@swc/jest',
  {
    jsc: {
      target: 'es2024',
      parser: { syntax: 'typescript', tsx },
      transform: { react: { runtime: 'automatic', importSource: 'preact' } },
    },
    module: { type: 'es6' },
    sourceMaps: 'inline',
  },
];

/**
 * Jest needs `NODE_OPTIONS=--experimental-vm-modules` for ES modules; `npm test` sets it, and runs the browser tests of
 * `e2e/` after the others and one file at a time.
 *
 * @type {import('jest').Config}
 */
export default {
  testEnvironment: 'node',
  testMatch: ['**/*.test.ts', '**/*.test.tsx'],
  modulePathIgnorePatterns: ['<rootDir>/web/dist/', '<rootDir>/client/dist/', '<rootDir>/.run/'],
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  // Types are checked by tsc apart.
  transform: { '\\.ts$': swc(false), '\\.tsx$': swc(true) },
  globalSetup: './testing/global-setup.ts',
  globalTeardown: './testing/global-teardown.ts',
  // Media workers and Postgres need a share of the processor too.
  maxWorkers: 2,
  testTimeout: 30_000,
};
