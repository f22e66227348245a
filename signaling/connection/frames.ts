import type { ApiError } from '../../common/errors.ts';

/** The frames of the `protoo` subprotocol: JSON objects that say of themselves what they are. */
export interface RequestFrame {
  type: 'request';
  id: number;
  method: string;
  data: unknown;
}

export interface NotificationFrame {
  type: 'notification';
  method: string;
  data: unknown;
}

export interface ResponseFrame {
  type: 'response';
  id: number;
  ok: boolean;
  errorReason: string | undefined;
}

/** What is no frame. It has an id where it asked for an answer. */
interface MalformedFrame {
  type: 'malformed';
  reason: string;
  id: number | undefined;
}

export type Frame = RequestFrame | NotificationFrame | ResponseFrame | MalformedFrame;

const longestMethod = 64;

const malformed = (reason: string, id?: unknown): MalformedFrame => ({
  type: 'malformed',
  reason,
  id: isId(id) ? id : undefined,
});

const isId = (id: unknown): id is number => typeof id === 'number' && Number.isSafeInteger(id);

const isMethod = (method: unknown): method is string =>
  typeof method === 'string' && method.length > 0 && method.length <= longestMethod;

function requestOf({ id, method, data }: Record<string, unknown>): Frame {
  if (!isId(id)) return malformed('id: expected an integer');
  if (!isMethod(method))
    return malformed(`method: expected a string of 1 to ${longestMethod} characters`, id);
  return { type: 'request', id, method, data };
}

function responseOf({ id, ok, errorReason }: Record<string, unknown>): Frame {
  if (!isId(id)) return malformed('id: expected an integer');
  return {
    type: 'response',
    id,
    ok: ok === true,
    errorReason: typeof errorReason === 'string' ? errorReason : undefined,
  };
}

/** Reads a frame. Never throws: what can't be read is a {@link MalformedFrame} that says why. */
export function parseFrame(text: string): Frame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return malformed('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return malformed('expected a JSON object');
  const fields = value as Record<string, unknown>;
  if (fields['request'] === true) return requestOf(fields);
  if (fields['response'] === true) return responseOf(fields);
  if (fields['notification'] !== true)
    return malformed('expected one of request, response, notification to be true');
  const { method, data } = fields;
  if (!isMethod(method))
    return malformed(`method: expected a string of 1 to ${longestMethod} characters`);
  return { type: 'notification', method, data };
}

export const formatRequest = (id: number, method: string, data: unknown): string =>
  JSON.stringify({ request: true, id, method, data });

export const formatNotification = (method: string, data: unknown): string =>
  JSON.stringify({ notification: true, method, data });

export const formatAnswer = (id: number, data: unknown = {}): string =>
  JSON.stringify({ response: true, id, ok: true, data });

/** An error as the protocol words it: the HTTP status of its code as a number, and the code in front of the reason. */
export const formatError = (
  id: number,
  error: Pick<ApiError, 'status' | 'code' | 'message'>,
): string =>
  JSON.stringify({
    response: true,
    id,
    ok: false,
    errorCode: error.status,
    errorReason: `${error.code}: ${error.message}`,
  });
