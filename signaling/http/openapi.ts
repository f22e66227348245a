import { z } from 'zod';

import { errorCatalogue, type ErrorCode } from '../../common/errors.ts';
import { broadcastersSpec } from './broadcasters-spec.ts';
import { roomsSpec } from './rooms-spec.ts';
import type { RouteSpec } from './route.ts';

/** Errors that every route may answer with. */
const everywhere: readonly ErrorCode[] = [
  'invalid_request',
  'missing_token',
  'invalid_token',
  'forbidden',
  'payload_too_large',
  'internal',
];

const groups: { tag: string; specs: Record<string, RouteSpec> }[] = [
  { tag: 'rooms', specs: roomsSpec },
  { tag: 'broadcasters', specs: broadcastersSpec },
];

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> => {
  const result: Record<string, unknown> = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  // The whole document has one dialect, OpenAPI's own.
  delete result['$schema'];
  return result;
};

const json = (schema: unknown) => ({ content: { 'application/json': { schema } } });

/** One entry for each status, naming the codes that it stands for. */
function errorResponses(own: readonly ErrorCode[]): Record<string, unknown> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...everywhere, ...own])) {
    const { status } = errorCatalogue[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      { description: codes.join(', '), ...json({ $ref: '#/components/schemas/Error' }) },
    ]),
  );
}

const parametersOf = (path: string) =>
  [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));

function operation(name: string, tag: string, spec: RouteSpec): Record<string, unknown> {
  return {
    operationId: name,
    tags: [tag],
    summary: spec.summary,
    parameters: parametersOf(spec.path),
    ...(spec.body
      ? { requestBody: { required: true, ...json(schemaOf(spec.body, 'input')) } }
      : {}),
    responses: {
      [String(spec.status ?? 200)]: {
        description: 'Success',
        ...json(schemaOf(spec.response, 'output')),
      },
      ...errorResponses(spec.errors),
    },
  };
}

const errorSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string', enum: Object.keys(errorCatalogue) },
        message: { type: 'string' },
        fields: {
          type: 'array',
          items: {
            type: 'object',
            properties: { field: { type: 'string' }, message: { type: 'string' } },
          },
        },
      },
    },
  },
};

/** The OpenAPI document of the public HTTP API, as JSON, from the schemas that check the bytes. */
export function renderOpenApi(): string {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { tag, specs } of groups)
    for (const [name, spec] of Object.entries(specs)) {
      const path = spec.path.replaceAll(/:(\w+)/g, '{$1}');
      paths[path] = { ...paths[path], [spec.method]: operation(name, tag, spec) };
    }
  return JSON.stringify(
    {
      openapi: '3.1.0',
      info: { title: 'kube-sfu signaling', version: '1' },
      security: [{ roomToken: [] }],
      paths,
      components: {
        schemas: { Error: errorSchema },
        securitySchemes: { roomToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      },
    },
    undefined,
    2,
  );
}
