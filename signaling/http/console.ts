import { findCondition } from '../../common/resources/conditions.ts';
import { messageOf } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import type { ConsoleNode, ConsoleResponse, ConsoleRoom } from '../../common/wire/console.ts';
import { mapLimit } from '../map-limit.ts';
import { isRoomReady } from '../placement/placements.ts';
import type { Services } from '../services.ts';

type Deps = Pick<Services, 'config' | 'logger' | 'nodes' | 'peers' | 'placements' | 'replicas'>;

const roomPicture = (room: MediaRoom, peers: number): ConsoleRoom => ({
  name: room.metadata.name,
  ready: isRoomReady(room),
  reason: findCondition(room.status?.conditions, 'Ready')?.reason ?? 'Pending',
  peers,
  placements: (room.status?.placements ?? []).map(
    ({ routerId, role, podName, state, generation }) => ({
      routerId,
      role,
      podName,
      state,
      generation,
    }),
  ),
});

/**
 * The picture of the platform for the console page. It is made at most once in `console.cacheMs`, however many ask, and
 * shows what can be had: a node that is silent is missing, and while Postgres is away so are the replicas.
 */
export function createConsole(deps: Deps): () => Promise<ConsoleResponse> {
  const { config, logger, nodes, peers, placements, replicas } = deps;
  let cached: { at: number; picture: Promise<ConsoleResponse> } | undefined;

  async function nodePictures(): Promise<ConsoleNode[]> {
    const urls = placements
      .pools()
      .flatMap(({ status }) => status?.nodes ?? [])
      .flatMap(({ url }) => (url === undefined ? [] : [url]));
    const pictures = await mapLimit([...new Set(urls)], config.console.concurrency, (url) =>
      nodes.status(url, { timeoutMs: config.console.statusTimeoutMs }).then(
        (status) => [{ ...status, url }],
        () => [],
      ),
    );
    return pictures.flat();
  }

  const fromStore = <T>(rows: Promise<T[]>): Promise<T[]> =>
    rows.catch((error: unknown) => {
      logger.info({ reason: messageOf(error) }, 'the console goes without the tables');
      return [];
    });

  async function take(): Promise<ConsoleResponse> {
    const [nodeList, counts, replicaList] = await Promise.all([
      nodePictures(),
      fromStore(peers.countByRoom()),
      fromStore(replicas.listWithLoad()),
    ]);
    const peersOf = new Map(counts.map((count) => [count.roomId, count.peers]));
    return {
      time: new Date().toISOString(),
      nodes: nodeList,
      pools: placements.pools().map(({ metadata, spec, status }) => ({
        name: metadata.name,
        role: spec.role,
        replicas: spec.replicas,
        readyReplicas: status?.readyReplicas ?? 0,
      })),
      rooms: placements
        .rooms()
        .map((room) => roomPicture(room, peersOf.get(room.metadata.name) ?? 0)),
      replicas: replicaList,
    };
  }

  return () => {
    if (!cached || Date.now() - cached.at >= config.console.cacheMs)
      cached = { at: Date.now(), picture: take() };
    return cached.picture;
  };
}
