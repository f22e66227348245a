import type Koa from 'koa';
import { z } from 'zod';

import { errorCatalogue } from '../common/errors.ts';
import { contract, peerEndpoints, type Endpoint } from './routes/contract.ts';
import { version } from './status.ts';

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

const json = (schema: unknown) => ({ content: { 'application/json': { schema } } });
const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): unknown => {
  const document = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  delete document.$schema;
  return document;
};

function operation(name: string, { path, summary, body, response }: Endpoint) {
  const parameters = [...path.matchAll(/:(\w+)/g)].map(([, param]) => ({
    name: param,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  return {
    operationId: name,
    summary,
    parameters,
    ...(body
      ? { requestBody: { required: !body.safeParse({}).success, ...json(schemaOf(body, 'input')) } }
      : {}),
    responses: {
      200: { description: 'Done', ...json(schemaOf(response, 'output')) },
      default: { description: 'An error with its code', ...json(errorSchema) },
    },
  };
}

/** The OpenAPI document of the media node's API, from the schemas that check its bytes. */
export function renderOpenApi(): string {
  const paths: Record<string, Record<string, unknown>> = {};
  const add = (name: string, endpoint: Endpoint): void => {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = {
      ...paths[path],
      [endpoint.method.toLowerCase()]: operation(name, endpoint),
    };
  };
  for (const [name, endpoint] of Object.entries(contract)) add(name, endpoint);
  for (const endpoint of peerEndpoints) add(`peer.${endpoint.name}`, endpoint);
  return JSON.stringify({
    openapi: '3.1.0',
    info: {
      title: 'kube-sfu media node',
      version,
      description:
        'Internal API of a media node. Every call but the probes, the metrics and this document needs a service token for the audience media-node.',
    },
    security: [{ serviceToken: [] }],
    components: {
      securitySchemes: {
        serviceToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
    paths,
  });
}

/** Serves the document at `/openapi.json`. */
export function serveOpenApi(): Koa.Middleware {
  let document: string | undefined;
  return async (ctx, next) => {
    if (ctx.path !== '/openapi.json' || ctx.method !== 'GET') {
      await next();
      return;
    }
    document ??= renderOpenApi();
    ctx.type = 'application/json';
    ctx.body = document;
  };
}
