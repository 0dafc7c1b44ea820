import { ValidationError, isWaymarkError } from "../errors.js";

/** Time and chance; tests bring their own. */
export interface RetryEnvironment {
  /** Milliseconds. */
  now(): number;
  /** From 0, below 1. */
  random(): number;
  /** Waits so many milliseconds, or until the signal is aborted. */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
}

/** For how long a call is repeated. */
export interface RetryOptions {
  /** How often a call is sent at most, the first time included. Default: 50. */
  readonly tries?: number | undefined;
  /** How long after its first try a call is sent again, in milliseconds. Default: 30,000. */
  readonly forMs?: number | undefined;
  /** No call is sent again once it is aborted, and none waits any more: for the end of a process. */
  readonly signal?: AbortSignal | undefined;
  /** Default: the real clock, real chance and real pauses. */
  readonly environment?: RetryEnvironment | undefined;
}

const firstPauseMs = 50;
const longestPauseMs = 2000;

/** The pauses of one call. */
export interface Pauses {
  /** Waits before the next try. False: there is to be none. */
  next(): Promise<boolean>;
}

/** @throws `INVALID_CONFIGURATION` */
export function createPauses(options: RetryOptions): () => Pauses {
  const { tries = 50, forMs = 30_000, signal, environment = systemRetryEnvironment } = options;
  if (!Number.isInteger(tries) || tries < 1) throw invalid("`tries` must be an integer from 1");
  if (!(forMs >= 0)) throw invalid("`forMs` must be a number of milliseconds from 0");
  const { now, random, pause } = environment;
  const isAborted = () => signal?.aborted === true;
  return () => {
    const end = now() + forMs;
    let tried = 1;
    return {
      async next() {
        const left = end - now();
        if (tried >= tries || left <= 0 || isAborted()) return false;
        // Full jitter: those who lost the server together do not come back together.
        const most = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(tried - 1, 10));
        await pause(Math.min(left, random() * most), signal);
        tried++;
        return !isAborted();
      },
    };
  };
}

/** Whether the store may answer the same call when it is asked again. What else is `retryable` does not end by waiting. */
export function isPassing(error: unknown): boolean {
  if (!isWaymarkError(error) || !error.retryable) return false;
  return error.code === "STORAGE_UNAVAILABLE" || error.code === "STORAGE_LOCKED";
}

/** What an attempt says where the store has answered, and what became of an earlier try cannot be told from it. */
export const untold = Symbol("untold");

/**
 * Makes a call until it is answered. `isRepeated` tells the attempt that an earlier one had no answer, and may have been
 * applied. Throws the last error where there is no answer in time, and the one of the try without answer where `untold`.
 */
export async function repeat<T>(
  pauses: Pauses,
  attempt: (isRepeated: boolean) => Promise<T | typeof untold>,
): Promise<T> {
  let lost: { readonly error: unknown } | null = null;
  for (;;) {
    let answer: T | typeof untold;
    try {
      answer = await attempt(lost !== null);
    } catch (error) {
      if (!isPassing(error)) throw error;
      lost = { error };
      if (await pauses.next()) continue;
      throw error;
    }
    if (answer !== untold) return answer;
    throw lost?.error;
  }
}

const systemRetryEnvironment: RetryEnvironment = {
  now: () => Date.now(),
  random: () => Math.random(),
  pause: (ms, signal) =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener("abort", end);
    }),
};

function invalid(message: string): ValidationError {
  const operation = "withRetry";
  return new ValidationError("INVALID_CONFIGURATION", `${operation}: ${message}`, { operation });
}
