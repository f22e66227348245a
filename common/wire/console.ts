import { z } from 'zod';

import { nodeRole, nodeStatus } from './media-node.ts';

/**
 * `GET /api/console` of the signaling service: the whole platform at one moment, for the console page. It is read about
 * once a second by each open console, so a replica may answer from a copy that is up to a second old.
 */

/** What one media node says of itself, and where. A node that did not answer in time is missing. */
const consoleNode = nodeStatus.extend({ url: z.url() });

/** A MediaWorker and how many of its nodes are ready. */
const consolePool = z.object({
  name: z.string(),
  role: nodeRole,
  replicas: z.int().nonnegative(),
  readyReplicas: z.int().nonnegative(),
});

/** A MediaRoom: its `Ready` condition, its connected peers, and where its routers were placed. */
const consoleRoom = z.object({
  name: z.string(),
  ready: z.boolean(),
  /** The `Ready` condition's one-word reason. */
  reason: z.string(),
  peers: z.int().nonnegative(),
  placements: z.array(
    z.object({
      routerId: z.string(),
      role: nodeRole,
      podName: z.string(),
      state: z.string(),
      generation: z.int().nonnegative(),
    }),
  ),
});

/** A signaling replica and the sockets that it holds. */
const consoleReplica = z.object({
  id: z.string(),
  url: z.string(),
  peers: z.int().nonnegative(),
});

export const consoleResponse = z.object({
  time: z.iso.datetime(),
  nodes: z.array(consoleNode),
  pools: z.array(consolePool),
  rooms: z.array(consoleRoom),
  replicas: z.array(consoleReplica),
});

export type ConsoleResponse = z.infer<typeof consoleResponse>;
export type ConsoleNode = z.infer<typeof consoleNode>;
export type ConsoleRoom = z.infer<typeof consoleRoom>;
