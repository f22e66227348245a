/**
 * Completes `package-lock.json` after `npm install`. Packages with native code come as one optional package for each platform,
 * and npm leaves those out of the lock file that the registry did not have at that moment, as a mirror may. `npm ci` then
 * refuses the lock file, on every machine. They are added by name and version; npm checks what it downloads for them by the
 * registry's word alone.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { addMissingPlatforms } from './platforms.ts';
import type { Lock } from './platforms.ts';

const file = path.resolve(import.meta.dirname, '..', '..', 'package-lock.json');
const lock = JSON.parse(await readFile(file, 'utf8')) as Lock;
const added = addMissingPlatforms(lock);
if (added.length > 0) await writeFile(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`added ${added.length} packages of other platforms`);
