import { setTimeout as sleep } from 'node:timers/promises';

import type { z } from 'zod';

import type { ServiceAudience } from '../auth/service-token.ts';
import { withDeadline } from '../deadline.ts';
import { ApiError, isApiError, isErrorCode, messageOf, type ErrorBody } from '../errors.ts';
import type { HttpClientConfig } from '../service/config.ts';
import { currentRequestId, requestIdHeader } from '../service/logger.ts';
import type { ServiceMetrics } from '../service/metrics.ts';
import { currentTraceparent, traceparentHeader } from '../service/trace.ts';
import { parseOrThrow } from '../validate.ts';

export interface HttpClientDeps {
  config: HttpClientConfig;
  metrics: ServiceMetrics;
  signToken: (audience: ServiceAudience) => Promise<string>;
  /** Asked right before each attempt that changes something; throws where this process may not (any more). */
  fence?: (() => void) | undefined;
}

export interface Call<T extends z.ZodType> {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** The called service's base URL. */
  baseUrl: string;
  /** The route's pattern, with `:name` for each parameter: the metric's label. */
  route: string;
  params?: Record<string, string>;
  body?: unknown;
  /** Checks the answer; a 2xx answer that does not fit is a failure of the far side. */
  response: T;
  /** Further attempts after a retryable failure. Every endpoint of ours may be repeated; 0 where the caller retries. */
  retries?: number;
  timeoutMs?: number;
}

export interface HttpClient {
  /** @throws {ApiError} the far side's own code; `node_unavailable` when it can't be reached, `timed_out` when it is silent */
  call<T extends z.ZodType>(call: Call<T>): Promise<z.output<T>>;
}

/** Which run of a media node a call is meant for. */
export const instanceIdHeader = 'x-instance-id';

const pathOf = (route: string, params: Record<string, string> = {}): string =>
  route.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`${route} needs the parameter ${name}`);
    return encodeURIComponent(value);
  });

async function errorOf(response: Response, call: Call<z.ZodType>): Promise<ApiError> {
  const where = `${call.method} ${call.route}`;
  const body = (await response.json().catch(() => undefined)) as Partial<ErrorBody> | undefined;
  const error = body?.error;
  if (error && isErrorCode(error.code))
    return new ApiError(error.code, error.message, error.fields ? { fields: error.fields } : {});
  return new ApiError(
    'far_side_failed',
    `${where}: answered ${response.status} without an error code`,
  );
}

/** Whoever asked sent nothing wrong: an answer that does not fit is the far side's failure, not an `invalid_request`. */
function answerOf<T extends z.ZodType>(text: string, call: Call<T>): z.output<T> {
  const where = `${call.method} ${call.route}`;
  try {
    return parseOrThrow(call.response, text ? JSON.parse(text) : {}, `answer of ${where}`);
  } catch (error) {
    if (!isApiError(error) && !(error instanceof SyntaxError)) throw error;
    const what = isApiError(error) ? error.message : `answer of ${where}: ${error.message}`;
    throw new ApiError('far_side_failed', what, { cause: error });
  }
}

function unreachable(error: unknown, call: Call<z.ZodType>): ApiError {
  const where = `${call.method} ${call.route} at ${call.baseUrl}`;
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return new ApiError('timed_out', `${where}: no answer in time`, { cause: error });
  const cause = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
  return new ApiError('node_unavailable', `${where}: ${cause}`, { cause: error });
}

/**
 * The client of every internal call: service token, request id, trace, time-out, metrics, coded errors, and retries with
 * doubling pauses where a retry can help.
 *
 * @param extraHeaders sent with every call
 */
export function createHttpClient(
  audience: ServiceAudience,
  deps: HttpClientDeps,
  extraHeaders: Record<string, string> = {},
): HttpClient {
  const { config, metrics, signToken, fence } = deps;

  async function attempt<T extends z.ZodType>(call: Call<T>): Promise<z.output<T>> {
    const url = new URL(pathOf(call.route, call.params), call.baseUrl);
    const headers: Record<string, string> = {
      ...extraHeaders,
      authorization: `Bearer ${await signToken(audience)}`,
      [traceparentHeader]: currentTraceparent(),
    };
    const requestId = currentRequestId();
    if (requestId) headers[requestIdHeader] = requestId;
    if (call.body !== undefined) headers['content-type'] = 'application/json';
    if (call.method !== 'GET') fence?.();
    const end = metrics.httpClientDuration.startTimer({ target: audience, route: call.route });
    const outcome: { code: string; answered: boolean } = { code: '', answered: false };
    const exchange = async (signal: AbortSignal): Promise<z.output<T>> => {
      const response = await fetch(url, {
        method: call.method,
        headers,
        signal,
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      });
      Object.assign(outcome, { code: String(response.status), answered: true });
      if (!response.ok) throw await errorOf(response, call);
      return answerOf(await response.text(), call);
    };
    try {
      return await withDeadline(call.timeoutMs ?? config.timeoutMs, exchange);
    } catch (error) {
      const apiError = error instanceof ApiError ? error : unreachable(error, call);
      if (!outcome.answered) outcome.code = apiError.code;
      throw apiError;
    } finally {
      end({ code: outcome.code });
    }
  }

  return {
    async call(call) {
      const retries = call.retries ?? config.retries;
      for (let n = 0; ; n++) {
        try {
          return await attempt(call);
        } catch (error) {
          if (n >= retries || !(error instanceof ApiError) || !error.retryable) throw error;
          await sleep(config.retryBackoffMs * 2 ** n);
        }
      }
    },
  };
}
