import type { Commit, Outcome } from "../contract/turns.js";
import { WaymarkError } from "../errors.js";

/** How long one call goes on trying among other writers. */
export interface Patience {
  /** Milliseconds of the environment's clock. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

/** Commits as part of a session's work. @param known how many operations the session is known to have had when the commit was certainly not applied. */
export type CommitNow = (commit: Commit, patience: Patience, known?: number | null) => Promise<Outcome>;

/** How often something is sent to a store that does not answer before its error is the caller's. */
export const triesWithoutAnswer = 3;

/** @throws `ABORTED` or `SESSION_BUSY` when a further try is not wanted. Nothing of this call is written then. */
export function checkPatience({ deadline, signal }: Patience, now: number, sessionId: string): void {
  if (signal?.aborted === true) throw abortedError(signal, sessionId);
  if (now >= deadline) {
    throw new WaymarkError(
      "SESSION_BUSY",
      "other writers kept the session busy until the deadline; nothing was written",
      { operation: "commit", sessionId },
    );
  }
}

export function abortedError(signal: AbortSignal, sessionId: string): WaymarkError {
  const details = { operation: "commit", sessionId, cause: signal.reason };
  return new WaymarkError("ABORTED", "the signal was aborted before the turn was stored", details);
}
