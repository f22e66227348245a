import type Koa from 'koa';

import type { CustomResourceDefinition } from '../../../common/resources/crd.ts';
import type { MediaRoom, MediaWorker } from '../../../common/resources/types.ts';

/** kubectl asks for a table of its printer columns this way. */
export const wantsTable = (ctx: Koa.Context): boolean => /as=Table/.test(ctx.get('accept'));

/** Evaluates the JSON paths that our printer columns use: fields, and one entry of a list by a field's value. */
function evaluatePath(path: string, object: unknown): unknown {
  const steps = path.match(/[^.[\]]+|\[\?\([^)]*\)\]/g) ?? [];
  return steps.reduce<unknown>((value, step) => {
    const filter = /^\[\?\(@\.(\w+)=="([^"]*)"\)\]$/.exec(step);
    if (filter) {
      const [, key = '', wanted] = filter;
      const list = Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
      return list.find((item) => item[key] === wanted);
    }
    return (value as Record<string, unknown> | undefined)?.[step];
  }, object);
}

/** Objects as `meta.k8s.io/v1` Table, for kubectl. */
export function renderTable(
  { spec }: CustomResourceDefinition,
  objects: readonly (MediaWorker | MediaRoom)[],
  metadata: { resourceVersion: string },
): object {
  const columns = spec.versions[0].additionalPrinterColumns;
  const name = { name: 'Name', type: 'string', format: 'name', description: 'Name of the object.' };
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: metadata.resourceVersion },
    columnDefinitions: [
      { ...name, priority: 0 },
      ...columns.map(({ jsonPath: _, ...column }) => ({
        format: '',
        description: '',
        priority: 0,
        ...column,
      })),
    ],
    rows: objects.map((object) => ({
      cells: [
        object.metadata.name,
        ...columns.map(({ jsonPath }) => evaluatePath(jsonPath, object) ?? null),
      ],
      object: {
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: object.metadata,
      },
    })),
  };
}
