import { KubeConfig } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';

const loopback = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:|\/|$)/;

/** How long one reading of the credentials is used, in milliseconds: tokens rotate in minutes. */
const credentialsMaxAgeMs = 5_000;

/**
 * A request of HTTP/1.1 is on the wire when the turn that began it ends, so that a fence that was asked in it holds; one of
 * HTTP/2 waits for a later turn. And no single connection that goes dead can hold up all watches and writes at once.
 */
const withHttp1 = (dispatcher: Dispatcher): Dispatcher =>
  dispatcher.compose((dispatch) => (options, handler) => {
    const http1: Dispatcher.DispatchOptions & { allowH2: boolean } = { ...options, allowH2: false };
    return dispatch(http1, handler);
  });

/** What a call to the API server carries. */
export interface Credentials {
  server: string;
  headers: Record<string, string>;
  dispatcher: Dispatcher | undefined;
}

/** One state of the kubeconfig. An API server that starts anew may have another port and token. */
export class Access {
  readonly text: string;
  readonly server: string;
  readonly #kubeConfig: KubeConfig;
  #dispatcher: Dispatcher | undefined;
  #headers: Record<string, string> = {};
  #readAt = -Infinity;

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig;
    this.text = kubeConfig.exportConfig();
    this.server = (kubeConfig.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
  }

  /** The namespace that the kubeconfig's context or the pod's service account names. */
  get namespace(): string | undefined {
    return this.#kubeConfig.getContextObject(this.#kubeConfig.currentContext)?.namespace;
  }

  async credentials(): Promise<Credentials> {
    if (Date.now() - this.#readAt > credentialsMaxAgeMs) await this.#read();
    return { server: this.server, headers: this.#headers, dispatcher: this.#dispatcher };
  }

  /** Closes what connections are idle or in use. */
  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  async #read(): Promise<void> {
    const headers: Record<string, string> = {};
    let dispatcher = undefined as Dispatcher | undefined;
    const context = {
      setHeaderParam: (name: string, value: string) => (headers[name] = value),
      setDispatcher: (made: Dispatcher) => (dispatcher = made),
    };
    await this.#kubeConfig.applySecurityAuthentication(
      context as unknown as Parameters<KubeConfig['applySecurityAuthentication']>[0],
    );
    // The client makes a new pool of connections each time; the first is kept, so that connections are used again.
    this.#dispatcher ??= dispatcher && withHttp1(dispatcher);
    this.#headers = headers;
    this.#readAt = Date.now();
  }
}

/**
 * Reads a kubeconfig, or the pod's service account where no file is named.
 *
 * @throws what keeps it from being read
 */
export function loadAccess(file: string | undefined): Access {
  const kubeConfig = new KubeConfig();
  if (file === undefined) kubeConfig.loadFromCluster();
  else kubeConfig.loadFromFile(file);
  // The client refuses plain HTTP unless it is told that nothing is verified; on loopback that is so anyway.
  kubeConfig.clusters = kubeConfig.clusters.map((cluster) =>
    loopback.test(cluster.server) ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return new Access(kubeConfig);
}
