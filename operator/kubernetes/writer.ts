import { isApiError } from '../../common/errors.ts';
import type { KubernetesClient, PatchType } from '../../common/kubernetes/client.ts';
import type { HasMeta, Informer } from '../../common/kubernetes/informer.ts';
import { collectionPath, objectPath, type ResourceType } from '../../common/kubernetes/paths.ts';

export interface WriterDeps<T extends HasMeta> {
  client: KubernetesClient;
  fieldManager: string;
  type: ResourceType;
  informer: Informer<T>;
  /** Brings an answer into the form that is kept. */
  trim: (answer: T) => T;
}

export interface PatchCall {
  patch: PatchType;
  /** Over what the patch says of the object's identity, which is filled in. */
  body: { metadata?: object; [field: string]: unknown };
  subresource?: string;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number;
}

type Keyed = Pick<HasMeta, 'metadata'>;

const refOf = ({ metadata: { name, namespace } }: Keyed) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

/**
 * Writes to one kind. Each names the object as it was read, and its answer is in the informer before anybody can read
 * again: a reconcile never decides by what it has itself made out of date.
 */
export class Writer<T extends HasMeta> {
  readonly #deps: WriterDeps<T>;

  constructor(deps: WriterDeps<T>) {
    this.#deps = deps;
  }

  /** @throws {ApiError} `conflict` where the name is taken; `invalid_request`, also for unknown fields; `forbidden` */
  async create(namespace: string, body: object): Promise<T> {
    const { client, fieldManager, type } = this.#deps;
    const answer = await client.call<T>({
      method: 'POST',
      path: collectionPath(type, namespace),
      // A field that does not exist would be dropped otherwise, with nobody to hear the warning.
      query: { fieldManager, fieldValidation: 'Strict' },
      body,
    });
    return this.#take(answer);
  }

  /** @throws {ApiError} `conflict` where the object has changed since it was read; `not_found` */
  async patch(object: T, call: PatchCall): Promise<T> {
    return this.#take(await this.send<T>(object, call));
  }

  /** The patch's answer as it is, which for some subresources is of another kind. */
  async send<Answer>(object: T, { patch, body, subresource }: PatchCall): Promise<Answer> {
    const { client, fieldManager, type } = this.#deps;
    const { uid, resourceVersion } = object.metadata;
    return client.call<Answer>({
      method: 'PATCH',
      path: objectPath(type, refOf(object), subresource),
      query: { fieldManager, ...(patch === 'apply' ? { force: true } : {}) },
      patch,
      body: { ...body, metadata: { ...body.metadata, uid, resourceVersion } },
    });
  }

  /** Deletes this very object; one that is gone, or was replaced by another of its name, is no error. */
  async delete(object: Keyed & HasMeta, options: DeleteOptions = {}): Promise<void> {
    const { client, type } = this.#deps;
    const { uid } = object.metadata;
    try {
      const answer = await client.call<T | { kind: 'Status' }>({
        method: 'DELETE',
        path: objectPath(type, refOf(object)),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid }, ...options },
      });
      // What is gone at once is answered by a Status or by its last state, which is no news to the informer.
      if ('metadata' in answer && answer.metadata.uid === uid) this.#take(answer);
    } catch (error) {
      if (!isApiError(error, 'not_found', 'conflict')) throw error;
    }
  }

  /** Puts an object that the API has answered into the informer. */
  take(answer: T): T {
    return this.#take(answer);
  }

  #take(answer: T): T {
    const object = this.#deps.trim(answer);
    this.#deps.informer.accept(object);
    return object;
  }
}
