import type { SimulatedNetwork } from './network.ts';
import type { SimulatedProcess } from './process.ts';
import { ApiError } from '../../common/errors.ts';
import { parseOrThrow } from '../../common/validate.ts';
import { putRouterRequest, type NodeRole } from '../../common/wire/media-node.ts';
import { FakeNode } from '../fake-node.ts';

export interface SimulatedNodeOptions {
  podName: string;
  pool: string;
  role: NodeRole;
  instanceId: string;
  process: SimulatedProcess;
  url: string;
}

/** One run of a media node as the operator knows it, on the simulated network. */
export class SimulatedNode extends FakeNode {
  readonly process: SimulatedProcess;
  readonly address: string;
  /** How many more routers it refuses to make. */
  refusals = 0;

  constructor({ podName, pool, role, instanceId, process, url }: SimulatedNodeOptions) {
    super({ ...{ podName, pool, role }, workers: 1, secret: '' });
    this.instanceId = instanceId;
    this.process = process;
    this.address = url;
  }

  listen(network: SimulatedNetwork): void {
    network.listen(this.address, {
      process: this.process,
      handle: ({ method, path, body }) =>
        Promise.resolve().then(() => this.#answer(method, path, body)),
    });
  }

  #answer(method: string, path: string, body: unknown): unknown {
    if (path === '/status') return this.status();
    if (path === '/drain') {
      this.state = 'Draining';
      return { state: 'Draining', peers: this.status().load.peers };
    }
    const [, roomId = '', routerId = ''] = /^\/rooms\/([^/]+)\/routers\/([^/]+)$/.exec(path) ?? [];
    if (method === 'PUT' && routerId) return this.#put(roomId, routerId, body);
    if (method === 'DELETE' && routerId) {
      this.routers.delete(routerId);
      return {};
    }
    throw new Error(`nobody should ask for ${method} ${path}`);
  }

  #put(roomId: string, routerId: string, body: unknown): unknown {
    if (this.refusals > 0) {
      this.refusals--;
      throw new ApiError('capacity_exhausted', 'told to refuse');
    }
    return this.putRouter(roomId, routerId, parseOrThrow(putRouterRequest, body, 'body'));
  }
}
