import { ValidationError } from "../errors.js";
import type { TurnEnvironment } from "../turn/environment.js";
import type { FailureEvent, PersistenceHooks, SlowEvent } from "./hooks.js";

/** Tells the application of calls that failed or took long. */
export interface Watch {
  now(): number;
  failed(event: FailureEvent): void;
  ended(call: Pick<SlowEvent, "operation" | "sessionId">, began: number): void;
}

const defaultSlowMs = 1000;

/** Undefined where nobody wants to know. @throws ValidationError `INVALID_CONFIGURATION` */
export function createWatch<TData>(
  { onError, onSlow }: PersistenceHooks<TData>,
  slowMs: number | undefined,
  { now }: TurnEnvironment,
): Watch | undefined {
  const thresholdMs = slowMs ?? defaultSlowMs;
  if (typeof thresholdMs !== "number" || !(thresholdMs >= 0)) {
    const operation = "new PersistenceManager";
    const message = `${operation}: \`slowMs\` must be a number of milliseconds from 0`;
    throw new ValidationError("INVALID_CONFIGURATION", message, { operation });
  }
  if (onError === undefined && onSlow === undefined) return undefined;
  return {
    now,
    failed: (event) => tell(() => onError?.(event)),
    ended: (call, began) => {
      const durationMs = now() - began;
      if (durationMs >= thresholdMs) tell(() => onSlow?.({ ...call, durationMs, thresholdMs }));
    },
  };
}

/** The call has its own end, whatever happens to those who are told of it. */
export function tell(hook: () => unknown): void {
  try {
    const result = hook();
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // Said in the description of these hooks.
  }
}
