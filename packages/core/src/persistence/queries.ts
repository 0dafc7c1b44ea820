import { checkId } from "../contract/id.js";
import type { Filter, SessionRow, SessionStatus } from "../contract/row.js";
import { visibleRanges } from "../turn/visible.js";
import { checkCount, checkDate, invalid, isOwn, ownerOf } from "./check.js";
import { checkStatus } from "./lifecycle.js";
import { type List, listOf } from "./list.js";
import type { Reading } from "./saving.js";

/** What is known of a session without its state; `loadSessionState(id)` reads that. */
export interface SessionInfo {
  readonly id: string;
  readonly userId: string | null;
  readonly agentName: string | null;
  readonly status: SessionStatus;
  /** Ids of the position. */
  readonly currentRoute: string | null;
  readonly currentStep: string | null;
  readonly messageCount: number;
  readonly lastMessageAt: Date | null;
  readonly createdAt: Date;
  /** Of the last write, whatever it was. */
  readonly updatedAt: Date;
  readonly completedAt: Date | null;
  readonly expiresAt: Date | null;
  /** Moves with each change of the state. */
  readonly version: string;
}

/** Which sessions of a user to list. */
export interface SessionQuery {
  /** 1 to 100. Default: 100. */
  readonly limit?: number | undefined;
  /** One or several. Default: all. */
  readonly status?: SessionStatus | readonly SessionStatus[] | undefined;
  /** Only sessions whose `updatedAt` is before this time. */
  readonly olderThan?: Date | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
}

const largestPage = 100;

/** Null: there is none, or it is somebody else's. */
export async function findSession(
  { store, userId }: Reading,
  id: string,
  options: { readonly userId?: string | undefined },
  operation: string,
): Promise<SessionInfo | null> {
  checkId(id, operation);
  const owner = ownerOf(options.userId, userId, operation);
  const found = await store.load(id, 0);
  return found !== null && isOwn(found.row, owner) ? infoOf(found.row) : null;
}

/** The newest active session of a user, by when it was created. */
export async function findActive(
  { store, environment }: Reading,
  userId: string,
  operation: string,
): Promise<SessionInfo | null> {
  checkId(userId, operation, "user id");
  const { items } = await store.find(
    { userId, status: ["active"], expiresAfter: environment.now() },
    { limit: 1 },
  );
  return items[0] === undefined ? null : infoOf(items[0]);
}

/** A page of a user's sessions, the newest created first. */
export async function findByUser(
  { store, environment }: Reading,
  userId: string,
  query: SessionQuery,
  operation: string,
): Promise<List<SessionInfo>> {
  checkId(userId, operation, "user id");
  const { limit = largestPage, cursor } = query;
  checkCount(limit, [1, largestPage], operation, "limit");
  if (cursor !== undefined && typeof cursor !== "string")
    throw invalid(operation, "`cursor` must be a string");
  const filter: Filter = { userId, expiresAfter: environment.now(), ...filterOf(query, operation) };
  const { items, next } = await store.find(filter, { limit, ...(cursor === undefined ? {} : { cursor }) });
  return listOf(
    items.flatMap((row) => infoOf(row) ?? []),
    next,
  );
}

/** @throws `INVALID_ARGUMENT` */
export function filterOf(
  { status, olderThan }: Pick<SessionQuery, "status" | "olderThan">,
  operation: string,
): Pick<Filter, "status" | "updatedBefore"> {
  checkDate(olderThan, operation, "olderThan");
  const wanted = typeof status === "string" ? [status] : status;
  if (wanted !== undefined && !Array.isArray(wanted)) checkStatus(wanted, operation);
  for (const one of wanted ?? []) checkStatus(one, operation);
  return {
    ...(wanted === undefined ? {} : { status: wanted }),
    ...(olderThan === undefined ? {} : { updatedBefore: olderThan.getTime() }),
  };
}

/** Null for a tombstone: it is no session. */
export function infoOf(row: SessionRow): SessionInfo | null {
  const { id, userId, agentName, version, status } = row;
  if (status === "deleting") return null;
  const { lastMessageAt, createdAt, updatedAt, completedAt, expiresAt } = row;
  const count = visibleRanges(row).reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return {
    ...{ id, userId, agentName, version, status },
    ...{ currentRoute: row.route, currentStep: row.step, messageCount: count },
    ...{ createdAt: new Date(createdAt), updatedAt: new Date(updatedAt) },
    ...{
      lastMessageAt: dateOf(lastMessageAt),
      completedAt: dateOf(completedAt),
      expiresAt: dateOf(expiresAt),
    },
  };
}

function dateOf(time: number | null): Date | null {
  return time === null ? null : new Date(time);
}
