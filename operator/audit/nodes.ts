import { createServiceTokenSigner } from '../../common/auth/service-token.ts';
import { createMediaNodeClient } from '../../common/clients/media-node.ts';
import type { ServiceMetrics } from '../../common/service/metrics.ts';
import type { OperatorConfig } from '../config.ts';
import type { AuditSources } from './look.ts';

/** The nodes as any holder of the key may ask them. */
export function objectsOfNodes(
  { serviceAuth, nodeClient }: OperatorConfig,
  metrics: ServiceMetrics,
): AuditSources['objects'] {
  const { secret, ttlSeconds } = serviceAuth;
  const client = createMediaNodeClient({
    config: nodeClient,
    metrics,
    signToken: createServiceTokenSigner({ secret, ttlSeconds, issuer: 'audit' }),
  });
  return (url) => client.objects(url);
}
