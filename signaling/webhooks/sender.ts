import type { EventRow } from '../../common/db/repositories/webhooks.ts';
import { withDeadline } from '../../common/deadline.ts';
import { messageOf } from '../../common/errors.ts';
import type { WebhookEndpoint, WebhooksConfig } from './config.ts';
import type { WebhookMetrics } from './metrics.ts';
import { signatureHeaders } from './signature.ts';

/** How one attempt went: the label of its metric. */
type Result = 'delivered' | 'refused' | 'timed_out' | 'unreachable';

export interface SenderDeps {
  config: Pick<WebhooksConfig, 'timeoutMs' | 'maxResponseBytes'>;
  metrics: WebhookMetrics;
  endpoint: WebhookEndpoint;
}

interface Outcome {
  result: Result;
  /** What is kept of a failure. */
  error: string;
}

/** How much of an answer is kept with a failure, in characters. */
const excerptLength = 200;

/** The body of a delivery; `docs/webhooks.md` shows it, and `webhookEvent` checks it. */
const bodyOf = ({ type, id, sequence, createdAt, room, data }: EventRow): string =>
  JSON.stringify({ type, id, sequence, timestamp: createdAt.toISOString(), room, data });

const nothing = (): string => '';

/** Reads an answer up to a limit; the rest is given up together with its connection. */
async function readSome(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

/** What the network said: `fetch` hides it, and where a name has several addresses there is one reason for each. */
function causeOf(error: unknown): string {
  const { cause, errors } = error as { cause?: unknown; errors?: unknown[] };
  const inner = cause ?? errors?.[0];
  return inner === undefined ? messageOf(error) : causeOf(inner);
}

function failureOf(error: unknown, timeoutMs: number): Outcome {
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return { result: 'timed_out', error: `no answer within ${timeoutMs} ms` };
  return { result: 'unreachable', error: causeOf(error) };
}

/** Posts events to one endpoint. */
export function createSender({ config, metrics, endpoint }: SenderDeps) {
  const { timeoutMs, maxResponseBytes } = config;

  async function post(event: EventRow, signal: AbortSignal): Promise<Outcome> {
    const body = bodyOf(event);
    const timestamp = Math.floor(Date.now() / 1000);
    const response = await fetch(endpoint.url, {
      method: 'POST',
      // Whoever answers for another address is not the one that was configured.
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'kube-sfu-webhooks',
        ...signatureHeaders({ id: event.id, timestamp, body }, endpoint.secrets),
      },
      body,
      signal,
    });
    const reading = readSome(response, maxResponseBytes);
    // The status has told all; the body is read so that its connection is used again.
    if (response.ok) return { result: 'delivered', error: await reading.then(nothing, nothing) };
    const text = await reading;
    const excerpt = text.slice(0, excerptLength).replaceAll(/\s+/g, ' ').trim();
    return { result: 'refused', error: `status ${response.status} ${excerpt}`.trimEnd() };
  }

  /**
   * One attempt. A 2xx status within the time is a success, whatever the answer's body.
   *
   * @param outer ends the attempt without an outcome
   * @returns what went wrong, or undefined
   * @throws the reason of `outer`
   */
  return async (event: EventRow, outer?: AbortSignal): Promise<string | undefined> => {
    const end = metrics.duration.startTimer({ endpoint: endpoint.name });
    const attempt = withDeadline(timeoutMs, (signal) => post(event, signal), outer);
    const { result, error } = await attempt.catch((failure: unknown) => {
      outer?.throwIfAborted();
      return failureOf(failure, timeoutMs);
    });
    end();
    metrics.deliveries.inc({ endpoint: endpoint.name, result });
    return result === 'delivered' ? undefined : error;
  };
}

export type Sender = ReturnType<typeof createSender>;
