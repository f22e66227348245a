import { parseAllDocuments, type Document } from 'yaml';

import { isApiError, messageOf, type FieldIssue } from '../../common/errors.ts';
import type { MediaRoom, MediaWorker } from '../../common/resources/types.ts';
import { validateResource } from '../../common/resources/validate.ts';
import { existingOf, identityOf } from './apply.ts';
import type { LocalObjects } from './cluster.ts';

/** An object as a file gives it, with its defaults. */
export interface GivenObject {
  object: MediaWorker | MediaRoom;
  /** Uid of an object of the same name that has to be gone before this one can be made. */
  awaitsDeletionOf?: string;
}

/** Why a file is not applied. */
export interface FileProblem {
  file: string;
  /** Which document of the file, from 1; undefined when it concerns the whole file. */
  document: number | undefined;
  fields: FieldIssue[];
  message: string;
}

interface Source {
  file: string;
  text: string;
  /** Namespace of objects that name none. */
  namespace: string;
  objects: LocalObjects;
}

type Fields = Record<string, unknown>;

function withNamespace(value: unknown, namespace: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { metadata } = value as { metadata?: unknown };
  if (typeof metadata !== 'object' || metadata === null) return value;
  return { ...value, metadata: { namespace, ...(metadata as Fields) } };
}

function parseDocument(document: Document, { namespace, objects }: Source): GivenObject {
  const [error] = document.errors;
  if (error) throw error;
  const given = validateResource(withNamespace(document.toJS(), namespace));
  const old = existingOf(objects, given);
  if (old && !old.metadata.deletionTimestamp) validateResource(given, { old });
  return { object: given };
}

/** Reads a file of one or several YAML documents; each must be an object that the API server would take. */
export function parseResourceFile(source: Source): {
  objects: Map<string, GivenObject>;
  problems: FileProblem[];
} {
  const { file, text } = source;
  const objects = new Map<string, GivenObject>();
  const problems: FileProblem[] = [];
  const documents = parseAllDocuments(text);
  for (const [i, document] of (Array.isArray(documents) ? documents : []).entries()) {
    if (document.errors.length === 0 && document.toJS() === null) continue;
    const problem = (message: string, fields: FieldIssue[] = []): void => {
      problems.push({ file, document: i + 1, fields, message });
    };
    try {
      const given = parseDocument(document, source);
      const identity = identityOf(given.object);
      if (objects.has(identity)) problem(`${identity} is in this file twice`);
      else objects.set(identity, given);
    } catch (error) {
      problem(messageOf(error), isApiError(error) ? error.fields : undefined);
    }
  }
  return { objects, problems };
}
