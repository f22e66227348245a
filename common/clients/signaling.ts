import { z } from 'zod';

import { createHttpClient, type HttpClientDeps } from '../http/client.ts';
import type { MessageBatchInput, closePeerRequest } from '../wire/signaling.ts';

const nothing = z.object({});

/** The typed client of a signaling replica's internal API. */
export function createSignalingClient(deps: HttpClientDeps) {
  const http = createHttpClient('signaling', deps);
  return {
    /** Hands over messages for clients. The batch id makes a repetition harmless. */
    postMessages: (url: string, body: MessageBatchInput) =>
      http.call({
        method: 'POST',
        baseUrl: url,
        route: '/internal/messages',
        body,
        response: nothing,
      }),
    closePeer: (url: string, mediaPeerId: string, body: z.input<typeof closePeerRequest>) =>
      http.call({
        method: 'POST',
        baseUrl: url,
        route: '/internal/peers/:mediaPeerId/close',
        params: { mediaPeerId },
        body,
        response: nothing,
      }),
  };
}

export type SignalingClient = ReturnType<typeof createSignalingClient>;
