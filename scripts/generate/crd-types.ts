import { compile, type JSONSchema } from 'json-schema-to-typescript';

import {
  loadCrd,
  schemaOf,
  type Plural,
  type StructuralSchema,
} from '../../common/resources/crd.ts';

/**
 * A structural schema as a JSON schema of the stored form: what has a default is always there, and `x-kubernetes-*`
 * becomes what it means.
 */
function toJsonSchema(schema: StructuralSchema): JSONSchema {
  if (schema['x-kubernetes-int-or-string']) return { type: ['integer', 'string'] };
  const { properties, items, additionalProperties } = schema;
  const defaulted = Object.entries(properties ?? {})
    .filter(([, property]) => property.default !== undefined)
    .map(([name]) => name);
  return {
    ...(schema.type ? { type: schema.type } : {}),
    ...(schema.description ? { description: schema.description } : {}),
    ...(schema.enum ? { enum: schema.enum as string[] } : {}),
    ...(schema.type === 'object'
      ? {
          required: [...new Set([...(schema.required ?? []), ...defaulted])],
          additionalProperties: schema['x-kubernetes-preserve-unknown-fields']
            ? true
            : additionalProperties
              ? toJsonSchema(additionalProperties)
              : false,
        }
      : {}),
    ...(properties
      ? {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, property]) => [name, toJsonSchema(property)]),
          ),
        }
      : {}),
    ...(items ? { items: toJsonSchema(items) } : {}),
  };
}

/** The TypeScript types of a kind's spec and status. */
export async function renderResourceTypes(plural: Plural): Promise<string> {
  const crd = loadCrd(plural);
  const { spec, status } = schemaOf(crd).properties ?? {};
  if (!spec || !status) throw new Error(`${plural}: the CRD has no spec or no status`);
  const { kind } = crd.spec.names;
  const options = { bannerComment: '', format: false, additionalProperties: false };
  const parts = [
    await compile(toJsonSchema(spec), `${kind}Spec`, options),
    await compile(toJsonSchema(status), `${kind}Status`, options),
  ];
  const banner = `// Generated from crds/${crd.spec.group}_${plural}.yaml by "npm run generate". Do not edit.`;
  return [banner, ...parts].join('\n\n');
}
