import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { watch, type FSWatcher } from 'chokidar';

import { messageOf } from '../../common/errors.ts';
import type { MediaRoom, MediaWorker } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import { parseResourceFile, type FileProblem, type GivenObject } from './resource-file.ts';
import type { LocalObjects } from './cluster.ts';
import { applyObject, identityOf, removeObject } from './apply.ts';

export interface FolderDeps {
  dir: string;
  namespace: string;
  settleMs: number;
  objects: LocalObjects;
  clock: Clock;
  logger: Logger;
  onProblems: (count: number) => void;
}

/** A file as it was last applied. */
interface AppliedFile {
  text: string;
  objects: Map<string, GivenObject>;
}

const isYaml = (file: string): boolean =>
  /\.ya?ml$/.test(file) && !path.basename(file).startsWith('.');

/**
 * Applies the MediaWorkers and MediaRooms of a folder's YAML files, as long as it runs: an edited file is applied, a
 * removed file's objects are deleted. A file with a mistake changes nothing at all; the mistake is logged with file,
 * document and field.
 */
export class ResourceFolder {
  readonly #deps: FolderDeps;
  readonly #files = new Map<string, AppliedFile>();
  readonly #problems = new Map<string, FileProblem[]>();
  readonly #pending = new Map<string, () => void>();
  readonly #unsubscribe: (() => void)[] = [];
  #watcher: FSWatcher | undefined;
  /** Files are read one after the other, so that two of them can't claim one object at once. */
  #queue: Promise<void> = Promise.resolve();

  constructor(deps: FolderDeps) {
    this.#deps = deps;
  }

  /** Applies what is there and then follows changes. @throws when the folder can't be read */
  async start(): Promise<void> {
    const { dir, objects } = this.#deps;
    for (const name of (await readdir(dir)).sort()) this.#enqueue(path.join(dir, name));
    for (const collection of [objects.mediaworkers, objects.mediarooms])
      this.#unsubscribe.push(
        collection.subscribe(({ type, object }) => {
          if (type === 'DELETED') this.#onDeleted(object);
        }),
      );
    this.#watcher = watch(dir, { ignoreInitial: false, depth: 0 });
    this.#watcher.on('all', (_event, file) => this.#schedule(file));
    this.#watcher.on('error', (error) =>
      this.#deps.logger.error({ err: error, dir }, 'watching the resource folder failed'),
    );
    await this.settled();
  }

  /** Resolves when every file seen so far has been read. */
  async settled(): Promise<void> {
    await this.#queue;
  }

  /** What is wrong with the files as they are. */
  problems(): FileProblem[] {
    return [...this.#problems.values()].flat();
  }

  async close(): Promise<void> {
    await this.#watcher?.close();
    for (const cancel of this.#pending.values()) cancel();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.settled();
  }

  #schedule(file: string): void {
    this.#pending.get(file)?.();
    const cancel = this.#deps.clock.schedule(this.#deps.settleMs, () => {
      this.#pending.delete(file);
      this.#enqueue(file);
    });
    this.#pending.set(file, cancel);
  }

  #enqueue(file: string): void {
    if (!isYaml(file)) return;
    this.#queue = this.#queue
      .then(() => this.#load(file))
      .catch((error: unknown) =>
        this.#report(file, [{ file, document: undefined, fields: [], message: messageOf(error) }]),
      );
  }

  async #load(file: string): Promise<void> {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) {
      this.#removeFile(file);
      return;
    }
    if (this.#files.get(file)?.text === text && !this.#problems.has(file)) return;
    const { objects, namespace } = this.#deps;
    const parsed = parseResourceFile({ file, text, namespace, objects });
    const problems = [...parsed.problems, ...this.#claimedElsewhere(file, parsed.objects)];
    this.#report(file, problems);
    if (problems.length === 0) this.#apply(file, text, parsed.objects);
  }

  #claimedElsewhere(file: string, objects: Map<string, GivenObject>): FileProblem[] {
    return [...this.#files]
      .filter(([other]) => other !== file)
      .flatMap(([other, applied]) =>
        [...objects.keys()]
          .filter((identity) => applied.objects.has(identity))
          .map((identity) => ({
            file,
            document: undefined,
            fields: [],
            message: `${identity} is in ${path.basename(other)} already`,
          })),
      );
  }

  #apply(file: string, text: string, objects: Map<string, GivenObject>): void {
    const before = this.#files.get(file);
    this.#files.set(file, { text, objects });
    for (const [identity, object] of before?.objects ?? [])
      if (!objects.has(identity)) removeObject(this.#deps.objects, object);
    for (const object of objects.values()) applyObject(this.#deps.objects, object);
    this.#deps.logger.info({ file, objects: [...objects.keys()] }, 'resource file applied');
  }

  #removeFile(file: string): void {
    this.#report(file, []);
    const applied = this.#files.get(file);
    if (!applied) return;
    this.#files.delete(file);
    for (const object of applied.objects.values()) removeObject(this.#deps.objects, object);
    this.#deps.logger.info({ file }, 'resource file removed');
  }

  /**
   * An object that was being deleted when a file asked for it comes back once it is gone. One that somebody deletes
   * stays away until its file is edited.
   */
  #onDeleted(object: MediaWorker | MediaRoom): void {
    const identity = identityOf(object);
    for (const { objects } of this.#files.values()) {
      const given = objects.get(identity);
      if (given?.awaitsDeletionOf === object.metadata.uid) {
        delete given.awaitsDeletionOf;
        applyObject(this.#deps.objects, given);
      }
    }
  }

  #report(file: string, problems: FileProblem[]): void {
    if (problems.length > 0) this.#problems.set(file, problems);
    else this.#problems.delete(file);
    for (const { document, fields, message } of problems)
      this.#deps.logger.error({ file, document, fields }, `resource file not applied: ${message}`);
    this.#deps.onProblems(this.#problems.size);
  }
}
