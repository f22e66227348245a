import path from 'node:path';

/** The test files: the first installs the release, the last removes it. */
export const order = ['install', 'changes', 'security', 'faults', 'releases'];

/** @param {{ path: string }} test */
const place = (test) => order.indexOf(path.basename(test.path, '.test.ts'));

/** Puts the test files in the order in which they share one installation. */
export default class Sequencer {
  /** @param {{ path: string }[]} tests */
  sort(tests) {
    return [...tests].sort((a, b) => place(a) - place(b));
  }

  /** None is put first for having failed the last time. */
  allFailedTests() {
    return [];
  }

  cacheResults() {
    // Times of earlier runs change nothing in the order.
  }
}
