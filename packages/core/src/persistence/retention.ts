import { isExpired } from "../contract/expiry.js";
import type { Filter, SessionRow } from "../contract/row.js";
import { userScope } from "../contract/scope.js";
import { WaymarkError, isUnreadable, isWaymarkError } from "../errors.js";
import type { Around } from "./around.js";
import { checkCount, invalid, mostKept, ownerOf } from "./check.js";
import { type SessionQuery, filterOf } from "./queries.js";
import type { Saving } from "./saving.js";

/** What to remove besides sessions whose time is over. */
export interface PruneOptions extends Pick<SessionQuery, "status" | "olderThan"> {
  /** Only sessions of this user. Default: those of the manager's `userId`, or all. */
  readonly userId?: string | undefined;
  /** Of each session that stays, remove all messages but this many of the newest. 0 to 1,000,000. */
  readonly keepMessages?: number | undefined;
  /** How many sessions to look at in this call, 1 to 100,000. Default: 1,000. */
  readonly limit?: number | undefined;
  /** `next` of the call before, to go on where it ended. */
  readonly cursor?: string | undefined;
  /** Stops between two sessions (`ABORTED`); what was removed stays removed. */
  readonly signal?: AbortSignal | undefined;
}

/** What one call of `prune` has done. */
export interface PruneReport {
  /** Sessions removed: those whose time was over, and those that the options name. */
  readonly deleted: number;
  /** Sessions left as they are, since a write came first, the hook `beforeDelete` refused, or they do not decrypt. */
  readonly skipped: number;
  /** Deletes that somebody had begun, and that were finished. */
  readonly finished: number;
  /** Sessions whose last messages were brought from the session's row to the others. */
  readonly delivered: number;
  /** Messages removed of sessions that stay. */
  readonly trimmed: number;
  /** `cursor` for the next call; null: all has been looked at. */
  readonly next: string | null;
}

/** What `eraseUser` has done. */
export interface EraseReport {
  /** Sessions removed, and deletes of others that were finished. */
  readonly sessions: number;
  /** Messages of the sessions that were removed, as far as a delete had not begun before. */
  readonly messages: number;
  /** Records of the user's own; those of the sessions went with them. */
  readonly records: number;
  /** How often everything was looked through; the last time, nothing was found. */
  readonly passes: number;
}

type Counts = { -readonly [K in Exclude<keyof PruneReport, "next">]: number };

/** One kind of row to look for, and what to do with each. */
interface Phase {
  readonly filter: Filter;
  /** Rows that are worked on at once. */
  readonly atOnce: number;
  work(row: SessionRow): Promise<void>;
}

const pageSize = 100;
/** More would only wait for each other in the client's pool. */
const drainsAtOnce = 8;
/** Of a session that somebody is talking in, the next turn delivers by itself. */
const quietMs = 60_000;

/** One bounded part of the housekeeping. Whatever is interrupted is found again by the next call. */
export async function pruneSessions<TData>(
  saving: Saving<TData>,
  around: Around<TData>,
  options: PruneOptions,
  call: { readonly operation: string; readonly ticket: number },
): Promise<PruneReport> {
  const { operation } = call;
  const { limit = 1000, signal } = options;
  checkCount(limit, [1, 100_000], operation, "limit");
  const counts: Counts = { deleted: 0, skipped: 0, finished: 0, delivered: 0, trimmed: 0 };
  const phases = phasesOf(saving, around, options, call, counts);
  let place = placeOf(options.cursor, phases.length, operation);
  for (let left = limit; left > 0;) {
    const phase = phases[place.phase];
    if (phase === undefined) return { ...counts, next: null };
    const page = {
      limit: Math.min(left, pageSize),
      ...(place.cursor === null ? {} : { cursor: place.cursor }),
    };
    const { items, next } = await saving.store.find(phase.filter, page);
    const work = async (row: SessionRow) => {
      try {
        await phase.work(row);
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        counts.skipped++;
      }
    };
    await forEach(items, { atOnce: phase.atOnce, work }, operation, signal);
    left -= items.length;
    place = next === null ? { phase: place.phase + 1, cursor: null } : { ...place, cursor: next };
  }
  return { ...counts, next: place.phase < phases.length ? `${place.phase}:${place.cursor ?? ""}` : null };
}

function phasesOf<TData>(
  saving: Saving<TData>,
  around: Around<TData>,
  options: PruneOptions,
  call: { readonly operation: string; readonly ticket: number },
  counts: Counts,
): Phase[] {
  const { operation } = call;
  const { store, environment, deadlineMs } = saving;
  const { status, olderThan, keepMessages } = options;
  const owner = ownerOf(options.userId, saving.userId, operation);
  const mine: Filter = owner === undefined ? {} : { userId: owner };
  const now = environment.now();
  const patience = () => ({ deadline: environment.now() + deadlineMs, signal: options.signal });
  const remove = async (row: SessionRow) => {
    const isDeleted = await removeRow(saving, around, row, call);
    counts[isDeleted ? "deleted" : "skipped"]++;
  };
  const phases: Phase[] = [
    {
      filter: { ...mine, status: ["deleting"] },
      atOnce: drainsAtOnce,
      work: async ({ id }) => {
        await store.drain(id, patience());
        counts.finished++;
      },
    },
    { filter: { ...mine, expiresBefore: now + 1 }, atOnce: store.prunesAtOnce, work: remove },
  ];
  if (status !== undefined || olderThan !== undefined)
    phases.push({
      filter: { ...mine, ...filterOf({ status, olderThan }, operation) },
      atOnce: store.prunesAtOnce,
      work: remove,
    });
  phases.push({
    filter: { ...mine, dirty: true, updatedBefore: now - quietMs },
    atOnce: drainsAtOnce,
    work: async (row) => {
      if (isExpired(row, environment.now())) return;
      await store.drain(row.id, patience());
      counts.delivered++;
    },
  });
  if (keepMessages !== undefined) {
    checkCount(keepMessages, [0, mostKept], operation, "keepMessages");
    phases.push({
      filter: mine,
      atOnce: drainsAtOnce,
      work: async (row) => {
        if (row.last - row.first < keepMessages && row.first === 1) return;
        counts.trimmed += (await store.trim(row.id, keepMessages, owner, patience())) ?? 0;
      },
    });
  }
  return phases;
}

/** Removes the session if it still is the one that was seen. False: a write came first, or the application refused. */
async function removeRow<TData>(
  { store }: Saving<TData>,
  around: Around<TData>,
  row: SessionRow,
  call: { readonly operation: string; readonly ticket: number },
): Promise<boolean> {
  let isDeleted = false;
  try {
    await around.delete({ ...call, sessionId: row.id }, async () => (isDeleted = await store.prune(row)));
  } catch (error) {
    if (isDeleted || !isWaymarkError(error) || error.code !== "HOOK_FAILED") throw error;
  }
  return isDeleted;
}

/** @throws `INVALID_ARGUMENT` */
function placeOf(
  cursor: string | undefined,
  phases: number,
  operation: string,
): { readonly phase: number; readonly cursor: string | null } {
  if (cursor === undefined) return { phase: 0, cursor: null };
  const match = typeof cursor === "string" ? /^(\d):(.*)$/s.exec(cursor) : null;
  const phase = Number(match?.[1]);
  if (match === null || !(phase < phases))
    throw invalid(operation, "the cursor is not one that an earlier call gave for the same options");
  return { phase, cursor: match[2] || null };
}

/** Removes all sessions and records of a user, until nothing more of them is found. */
export async function eraseSessions<TData>(
  saving: Saving<TData>,
  around: Around<TData>,
  userId: string,
  signal: AbortSignal | undefined,
  call: { readonly operation: string; readonly ticket: number },
): Promise<EraseReport> {
  const { store, environment, deadlineMs } = saving;
  const counts = { sessions: 0, messages: 0, records: 0, passes: 0 };
  const filter: Filter = { userId, status: ["active", "completed", "abandoned", "deleting"] };
  const erase = async (row: SessionRow) => {
    if (row.status === "deleting") {
      await store.drain(row.id, { deadline: environment.now() + deadlineMs, signal });
    } else {
      // What the application refuses is not erased, and that is no erasure: its error is the caller's.
      const isDeleted = await around.delete({ ...call, sessionId: row.id }, () => store.prune(row));
      if (!isDeleted) return;
      counts.messages += row.last - row.first + 1;
    }
    counts.sessions++;
  };
  for (;;) {
    let found = 0;
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof store.find>> = await store.find(filter, {
        limit: pageSize,
        ...(cursor === null ? {} : { cursor }),
      });
      found += page.items.length;
      await forEach(page.items, { atOnce: store.prunesAtOnce, work: erase }, call.operation, signal);
      cursor = page.next;
    } while (cursor !== null);
    if (store.hasRecords) {
      const removed = await store.records(call.operation).deleteScope(userScope(userId));
      counts.records += removed;
      found += removed;
    }
    counts.passes++;
    if (found === 0) break;
    // What this process was still writing into sessions that are gone.
    await store.flush();
    await environment.pause(counts.passes);
  }
  return counts;
}

async function forEach(
  rows: readonly SessionRow[],
  { atOnce, work }: Pick<Phase, "atOnce" | "work">,
  operation: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let first = 0; first < rows.length; first += atOnce) {
    if (signal?.aborted === true) throw abortedError(operation, signal);
    const results = await Promise.allSettled(rows.slice(first, first + atOnce).map(work));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

function abortedError(operation: string, { reason }: AbortSignal): WaymarkError {
  const message = `${operation}: the signal was aborted; what was removed stays removed, and another call goes on`;
  return new WaymarkError("ABORTED", message, { operation, cause: reason });
}
