import { ValidationError, WaymarkError } from "../errors.js";
import type { ModelReply, ModelRequest, Provider } from "./provider.js";
import { checkReply } from "./reply.js";

/** How long, and for whom, a turn waits for the model. */
export interface Asking {
  readonly signal?: AbortSignal | undefined;
  /** For all questions of the turn together, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly sessionId?: string | undefined;
}

export type Ask = (request: ModelRequest) => Promise<ModelReply>;

const defaultTimeoutMs = 60_000;
const longestTimer = 2 ** 31 - 1;

/**
 * Runs the work of a turn with a way to ask the model: each question ends, with an answer of the right shape or with an
 * error, whatever the provider does.
 * @throws `MODEL_FAILED`, `MODEL_TIMEOUT`, `MODEL_INVALID`, `ABORTED`
 */
export async function withModel<T>(
  provider: Provider,
  asking: Asking,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs = defaultTimeoutMs, sessionId } = asking;
  const details = { operation: "respond", sessionId };
  checkTimeout(timeoutMs);
  checkSignal(signal, sessionId);
  const stop = new AbortController();
  const stopped = new Promise<never>((_resolve, reject) => {
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason));
  });
  // Between two questions nobody waits for it.
  stopped.catch(() => {});
  const abort = () => stop.abort(abortedError(signal, sessionId));
  const timer = setTimeout(() => {
    const message = `respond: the model "${provider.name}" did not answer within ${timeoutMs} ms`;
    stop.abort(new WaymarkError("MODEL_TIMEOUT", message, details));
  }, timeoutMs);
  signal?.addEventListener("abort", abort);

  async function generate(request: ModelRequest): Promise<unknown> {
    return provider.generate(request, { signal: stop.signal });
  }

  async function ask(request: ModelRequest): Promise<ModelReply> {
    stop.signal.throwIfAborted();
    let reply: unknown;
    try {
      reply = await Promise.race([generate(request), stopped]);
    } catch (cause) {
      // A provider that was told to stop may be quicker to throw than we are.
      stop.signal.throwIfAborted();
      const name = cause instanceof Error ? cause.name : typeof cause;
      const message = `respond: the model "${provider.name}" failed [${name}]; the session is as before`;
      throw new WaymarkError("MODEL_FAILED", message, { ...details, cause });
    }
    return checkReply(reply, provider.name, sessionId);
  }

  try {
    return await work(ask);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** @throws `ABORTED` */
export function checkSignal(signal: AbortSignal | undefined, sessionId: string | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal, sessionId);
}

function abortedError(signal: AbortSignal | undefined, sessionId: string | undefined): WaymarkError {
  const message = "respond: the signal was aborted before the model had answered; the session is as before";
  return new WaymarkError("ABORTED", message, { operation: "respond", sessionId, cause: signal?.reason });
}

function checkTimeout(timeoutMs: number): void {
  if (typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= longestTimer) return;
  const message = `respond: \`timeoutMs\` must be a number of milliseconds above 0, at most ${longestTimer}`;
  throw new ValidationError("INVALID_ARGUMENT", message, { operation: "respond" });
}
