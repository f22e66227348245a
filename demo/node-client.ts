import { createServiceTokenSigner } from '../common/auth/service-token.ts';
import { createMediaNodeClient, type MediaNodeClient } from '../common/clients/media-node.ts';
import { httpClientConfig } from '../common/service/config.ts';
import { createServiceMetrics } from '../common/service/metrics.ts';

/** A client of the platform's media nodes for whoever holds its key. */
export const nodeClientOf = (serviceSecret: string, issuer: string): MediaNodeClient =>
  createMediaNodeClient({
    config: httpClientConfig.parse({}),
    metrics: createServiceMetrics(),
    signToken: createServiceTokenSigner({ secret: serviceSecret, issuer, ttlSeconds: 60 }),
  });
