import { z } from 'zod';

const id = z.uuid();
const routerId = z.string().min(1).max(253);
const ms = z.int().nonnegative();

/** A producer that a pipe has brought and that nobody uses, and for how long that has been so, in milliseconds. */
const unusedProducer = z.object({ id, forMs: ms });

/** A transport that must not be offered a producer: it can't consume it. */
const refusal = z.object({ transportId: id, producerId: id });

/** One end of a pipe with what goes through it, by the ids that the origins gave. */
const pipe = z.object({
  pipeTransportId: id,
  end: z.enum(['source', 'destination']),
  routerId,
  remoteRouterId: routerId,
  remoteInstanceId: id,
  remotePipeTransportId: id,
  producerIds: z.array(id),
  dataProducerIds: z.array(id),
  /** At a destination: those of both lists that no consumer uses. */
  unused: z.array(unusedProducer),
});

/**
 * `GET /objects`: every live object of the node by its id, for a comparison with the tables and with other nodes. Asks no
 * store; a moment's view, in which nothing that is still in the making appears.
 */
export const nodeObjects = z.object({
  instanceId: id,
  podName: z.string(),
  routers: z.array(z.object({ routerId, roomId: z.string() })),
  transports: z.array(z.object({ transportId: id, routerId, mediaPeerId: id })),
  producers: z.array(z.object({ producerId: id, transportId: id })),
  dataProducers: z.array(z.object({ dataProducerId: id, transportId: id })),
  consumers: z.array(z.object({ consumerId: id, producerId: id, transportId: id })),
  dataConsumers: z.array(z.object({ dataConsumerId: id, dataProducerId: id, transportId: id })),
  pipes: z.array(pipe),
  /** Connections whose producer service the node is, those without a transport included. */
  sessions: z.array(id),
  /** What the sweep has tried in vain; data producers are among the producers. */
  refused: z.array(refusal),
  /** The settings that say how long the node itself takes to put something right, in milliseconds. */
  limits: z.object({
    sweepIntervalMs: ms,
    sweepGraceMs: ms,
    pipeIdleMs: ms,
    pipeDemandIntervalMs: ms,
    pipeLostAfterMs: ms,
  }),
});
export type NodeObjects = z.infer<typeof nodeObjects>;
