/** Prints which tests failed in the runs that left their results, so that a long output ends with them. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { readFailures } from './results.ts';
import { resultsDir, root } from './suite.ts';

/** Lines of each message. */
const LINES = 12;

const files = await readdir(resultsDir).catch(() => []);
for (const file of files.filter((name) => name.endsWith('.json')))
  for (const { file: name, test, message } of await readFailures(path.join(resultsDir, file))) {
    console.log(`FAILED ${path.relative(root, name)}${test === undefined ? '' : `: ${test}`}`);
    const lines = stripVTControlCharacters(message).trim().split('\n').slice(0, LINES);
    console.log(lines.map((line) => `    ${line}`).join('\n'));
  }
