/**
 * The framing of the `protoo` WebSocket subprotocol: JSON text frames that are a request, its response, or a
 * notification. Either side may send each of them; request ids are the sender's own.
 */
export type Frame =
  | { type: 'request'; id: number; method: string; data: unknown }
  | { type: 'response'; id: number; ok: true; data: unknown }
  | { type: 'response'; id: number; ok: false; errorCode: number; errorReason: string }
  | { type: 'notification'; method: string; data: unknown };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseJson(text: unknown): unknown {
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function responseFrame(id: number, message: Record<string, unknown>): Frame {
  if (message['ok'] === true) return { type: 'response', id, ok: true, data: message['data'] };
  const code = message['errorCode'];
  const reason = message['errorReason'];
  return {
    type: 'response',
    id,
    ok: false,
    errorCode: typeof code === 'number' ? code : 500,
    errorReason: typeof reason === 'string' ? reason : 'no reason given',
  };
}

/** Reads one WebSocket message. `undefined`: it is none of the frames, and is to be ignored. */
export function parseFrame(text: unknown): Frame | undefined {
  const message = parseJson(text);
  if (!isRecord(message)) return undefined;
  const { id, method, data } = message;
  if (message['response'] === true) {
    return typeof id === 'number' ? responseFrame(id, message) : undefined;
  }
  if (typeof method !== 'string') return undefined;
  if (message['notification'] === true) return { type: 'notification', method, data };
  if (message['request'] !== true || typeof id !== 'number') return undefined;
  return { type: 'request', id, method, data };
}

/** The JSON text of a frame. */
export function formatFrame(frame: Frame): string {
  switch (frame.type) {
    case 'request':
      return JSON.stringify({
        request: true,
        id: frame.id,
        method: frame.method,
        data: frame.data ?? {},
      });
    case 'notification':
      return JSON.stringify({ notification: true, method: frame.method, data: frame.data ?? {} });
    case 'response':
      return frame.ok
        ? JSON.stringify({ response: true, id: frame.id, ok: true, data: frame.data ?? {} })
        : JSON.stringify({
            response: true,
            id: frame.id,
            errorCode: frame.errorCode,
            errorReason: frame.errorReason,
          });
  }
}
