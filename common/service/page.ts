import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';

import sirv from 'sirv';

/** What the page needs to know of the platform, as `/config.json`. Without ports, signaling is at the page's own origin. */
interface PageConfig {
  /** The first signaling replica's port, on the page's own host name. */
  signalingPort?: number;
  /** All replicas' ports. */
  signalingPorts?: number[];
}

export interface PageOptions {
  /** The folder that the page was built into. */
  dist: string;
  config: PageConfig;
}

/** For requests that read: GET and HEAD. */
export type PageHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  otherwise: () => void,
) => void;

const missingBuild = 'The page has not been built yet: run "npm run build:web".\n';

/** A host name as a browser sends it, without its port: what may be repeated in a header without further thought. */
const plainHostName = /^([a-z0-9.-]+)(?::\d+)?$/i;

/** Signaling is on the page's host name, on other ports. An IPv6 host can't be named in a policy: only schemes then. */
function connectSources(host: string | undefined): string {
  const name = plainHostName.exec(host ?? '')?.[1];
  const schemes = ['ws', 'wss', 'http', 'https'];
  return schemes.map((scheme) => (name ? `${scheme}://${name}:*` : `${scheme}:`)).join(' ');
}

function setSecurityHeaders(request: IncomingMessage, response: ServerResponse): void {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self' blob:",
    `connect-src 'self' ${connectSources(request.headers.host)}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ];
  response.setHeader('Content-Security-Policy', policy.join('; '));
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('X-Frame-Options', 'DENY');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader(
    'Permissions-Policy',
    'camera=(self), microphone=(self), display-capture=(self), geolocation=()',
  );
}

export function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
): void {
  response.writeHead(status, {
    'Content-Type': `${type}; charset=utf-8`,
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

/**
 * Answers for the built page and its configuration, with security headers on every answer.
 *
 * @returns a handler that calls `otherwise` for any other path, with nothing sent yet
 */
export function createPageHandler({ dist, config }: PageOptions): PageHandler {
  const index = path.join(dist, 'index.html');
  const serveFile = sirv(dist, {
    // Looks at the disk for each request: the page may be built again while it is served.
    dev: true,
    setHeaders: (response, pathname) => {
      // Names in assets/ carry a hash of their content; the rest must be asked for again.
      const lasting = pathname.startsWith('/assets/');
      response.setHeader(
        'Cache-Control',
        lasting ? 'public, max-age=31536000, immutable' : 'no-cache',
      );
    },
  });
  return (request, response, otherwise) => {
    setSecurityHeaders(request, response);
    if (request.url?.split('?')[0] === '/config.json') {
      sendText(response, 200, 'application/json', JSON.stringify(config));
    } else if (!existsSync(index)) {
      sendText(response, 503, 'text/plain', missingBuild);
    } else {
      serveFile(request, response, otherwise);
    }
  };
}
