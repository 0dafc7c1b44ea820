import type { Commit, Outcome, Turns } from "../contract/turns.js";
import { StorageError, WaymarkError, isWaymarkError, storageError } from "../errors.js";

/** Sends commits to a store that takes whole turns; where it gains by that, those that arrive together travel together. */
export interface Group {
  /** Resolves with the outcome of this commit alone. Rejects with the store's error where it gave no answer to it. */
  submit(commit: Commit): Promise<Outcome>;
}

interface Waiting {
  readonly commit: Commit;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** Enough to fill a statement; more only makes everybody in it wait longer. */
const largestGroup = 64;
const writesAtOnce = 2;

/**
 * How many promise jobs are waited until those whom a write has answered are here with their next turns: enough for the way
 * through this package and a few of the caller's own, as a test shows. They take microseconds; without them the first would
 * travel alone, and all others wait for it.
 */
const jobsUntilBack = 64;

/**
 * Group commit without a timer: a lone caller is sent at once, and what arrives while a write is under way makes up the
 * next one. Two writes may be under way, so that one that has to wait does not hold up everybody; each takes half, so that
 * the store works on one while this process prepares the other. A store that writes each commit by itself gets each at once.
 */
export function createGroup(turns: Turns): Group {
  const waiting: Waiting[] = [];
  const underWay = new Set<string>();
  const mostWrites = turns.groups === true ? writesAtOnce : Number.POSITIVE_INFINITY;
  let writes = 0;
  let isGathering = false;

  function submit(commit: Commit): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      waiting.push({ commit, resolve, reject });
      send();
    });
  }

  function send(): void {
    if (isGathering) return;
    while (writes < mostWrites && waiting.length > 0) {
      const group = take();
      if (group.length === 0) return;
      writes++;
      void write(group).finally(() => sent(group));
    }
  }

  async function sent(group: readonly Waiting[]): Promise<void> {
    writes--;
    for (const { commit } of group) underWay.delete(commit.id);
    if (group.length > 1) {
      isGathering = true;
      for (let job = 0; job < jobsUntilBack; job++) await undefined;
      isGathering = false;
    }
    send();
  }

  /** At most one commit a session: the same row twice in one statement is written once, silently. */
  function take(): Waiting[] {
    const half = Math.ceil((waiting.length + underWay.size) / writesAtOnce);
    const most = turns.groups === true ? Math.min(half, largestGroup) : 1;
    const group: Waiting[] = [];
    for (let i = 0; i < waiting.length && group.length < most;) {
      const next = waiting[i];
      if (next === undefined || underWay.has(next.commit.id)) {
        i++;
        continue;
      }
      underWay.add(next.commit.id);
      group.push(next);
      waiting.splice(i, 1);
    }
    return group;
  }

  async function write(group: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await turns.commit(group.map(({ commit }) => commit));
      group.forEach((one, index) => settle(one, outcomes[index]));
    } catch (error) {
      const [one, ...others] = group;
      if (one !== undefined && others.length === 0) return settle(one, { status: "failed", error });
      // Where there was no answer at all, each caller decides for itself whether to ask again.
      if (isWaymarkError(error) && error.retryable) {
        for (const each of group) settle(each, { status: "failed", error });
        return;
      }
      // One bad neighbour fails a whole statement: each goes again by itself.
      for (const each of group) await write([each]);
    }
  }

  return { submit };
}

/** The same commit, sent again after a try that may have been stored. */
export function asRetry(commit: Commit, since: number | null): Commit {
  return { ...commit, retry: commit.retry ?? { since } };
}

/**
 * An error of the store, for one whom it met: that of a whole group names no session, or a neighbour's. One after which
 * nothing is sent again is of a commit that was sent alone.
 */
function ofSession(error: WaymarkError, sessionId: string): WaymarkError {
  if (error.sessionId === sessionId || !error.retryable) return error;
  const { code, message, operation, retryable, cause } = error;
  const Kind = code.startsWith("STORAGE_") ? StorageError : WaymarkError;
  return new Kind(code, message, { operation, sessionId, retryable, cause });
}

function settle({ commit, resolve, reject }: Waiting, outcome: Outcome | undefined): void {
  if (outcome !== undefined && outcome.status !== "failed") return resolve(outcome);
  const error = outcome?.error ?? new TypeError("the store answered fewer commits than it was given");
  reject(ofSession(storageError(error, { operation: "commit", sessionId: commit.id }), commit.id));
}
