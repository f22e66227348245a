import type { PipeTransport } from 'mediasoup/types';
import type { z } from 'zod';

import { isForeignKeyViolation } from '../../common/db/knex.ts';
import { ApiError } from '../../common/errors.ts';
import type { RouterAddress, sourcePipeResponse } from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import { askMediasoup } from '../mediasoup/errors.ts';
import type { LiveRouter } from '../mediasoup/objects.ts';
import { pipeListenInfo } from '../mediasoup/transports.ts';

export type PipeEndpoint = z.output<typeof sourcePipeResponse>['endpoint'];

/** One end of a pipe, with SRTP, RTX and SCTP on. */
export const createPipeTransport = (
  { config }: NodeContext,
  { router }: LiveRouter,
): Promise<PipeTransport> =>
  askMediasoup('createPipeTransport', () =>
    router.createPipeTransport({
      listenInfo: pipeListenInfo(config.rtc.pipe),
      enableSctp: true,
      maxSendMessageSize: config.rtc.sctpMaxMessageSize,
      maxReceiveMessageSize: config.rtc.sctpMaxMessageSize,
      enableRtx: true,
      enableSrtp: true,
    }),
  );

/** What the other end needs to connect to this one. */
export function endpointOf({ id, tuple, srtpParameters }: PipeTransport): PipeEndpoint {
  return {
    pipeTransportId: id,
    ip: tuple.localAddress,
    port: tuple.localPort,
    ...(srtpParameters ? { srtpParameters } : {}),
  };
}

export const connectPipe = (
  transport: PipeTransport,
  { ip, port, srtpParameters }: PipeEndpoint,
): Promise<void> =>
  askMediasoup('endpoint', () =>
    transport.connect({
      ip,
      port,
      ...(srtpParameters ? { srtpParameters: srtpParameters } : {}),
    }),
  );

/** Records one end. */
export async function savePipe(
  ctx: NodeContext,
  pipeEnd: 'source' | 'destination',
  { id, router, remote }: { id: string; router: LiveRouter; remote: RouterAddress },
): Promise<void> {
  try {
    await ctx.repository.savePipeTransport({
      id,
      routerId: router.id,
      instanceId: ctx.self.instanceId,
      remoteRouterId: remote.routerId,
      pipeEnd,
    });
  } catch (error) {
    if (isForeignKeyViolation(error))
      throw new ApiError('router_not_found', 'one of the routers is gone', { cause: error });
    throw error;
  }
}
