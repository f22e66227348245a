import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';

import { broadcastersSpec } from './broadcasters-spec.ts';
import { renderOpenApi } from './openapi.ts';
import { roomsSpec } from './rooms-spec.ts';

interface Media {
  content: { 'application/json': { schema: object } };
}
interface Operation {
  operationId: string;
  parameters: { name: string }[];
  requestBody?: Media;
  responses: Record<string, Media & { description: string }>;
}

describe('the OpenAPI document', () => {
  const document = JSON.parse(renderOpenApi()) as {
    openapi: string;
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: { Error: object } };
  };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, operation })),
  );

  it('has every route once', () => {
    const names = [...Object.keys(roomsSpec), ...Object.keys(broadcastersSpec)].sort();
    expect(operations.map(({ operation }) => operation.operationId).sort()).toEqual(names);
  });

  it.each(
    operations.map(({ path, operation }) => [operation.operationId, path, operation] as const),
  )('describes %s with its parameters and sound schemas', (_id, path, operation) => {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(operation.parameters.map(({ name }) => name)).toEqual(inPath);
    expect(path).not.toContain(':');
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const media = [operation.requestBody, operation.responses['200'] ?? operation.responses['201']];
    for (const item of media) if (item) ajv.compile(item.content['application/json'].schema);
    expect(operation.responses['401']?.description).toContain('missing_token');
  });

  it('is the same every time', () => {
    expect(renderOpenApi()).toBe(renderOpenApi());
  });
});
