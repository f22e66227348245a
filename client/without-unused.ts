import type { Plugin } from 'vite';

/** Parts of mediasoup-client that a browser never runs: its test doubles and what is for React Native. */
const unusedInBrowsers =
  /mediasoup-client\/lib\/(?:test\/fakeParameters|handlers\/(?:FakeHandler|ReactNative106))\.js$/;

/** Leaves them out of a bundle. */
export const withoutUnused = (): Plugin => ({
  name: 'without-unused',
  load: (id) => (unusedInBrowsers.test(id) ? 'module.exports = {};' : undefined),
});
