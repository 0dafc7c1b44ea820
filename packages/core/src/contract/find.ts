import { ValidationError } from "../errors.js";
import { isExpired } from "./expiry.js";
import { checkId } from "./id.js";
import type { Filter, SessionRow } from "./row.js";

/** Where a page of `find` ended: the next one begins behind it. */
export interface FindPosition {
  readonly createdAt: number;
  readonly id: string;
}

/** A cursor for a position: opaque to callers, and safe in a URL. */
export function encodeCursor({ createdAt, id }: FindPosition): string {
  return `${createdAt}.${encodeURIComponent(id)}`;
}

/** @throws `INVALID_ARGUMENT` for a text that is not a cursor. */
export function decodeCursor(cursor: string): FindPosition {
  const match = typeof cursor === "string" ? /^(-?\d{1,16})\.(.+)$/s.exec(cursor) : null;
  try {
    const createdAt = Number(match?.[1]);
    const id = decodeURIComponent(match?.[2] ?? "");
    checkId(id, "find");
    if (Number.isSafeInteger(createdAt)) return { createdAt, id };
  } catch {
    // An escape or an id that no page gave.
  }
  throw invalid("the cursor is not one that an earlier page gave");
}

/** Checks the options of `find`; gives the position to begin behind, if any. @throws `INVALID_ARGUMENT` */
export function checkFind(page: { limit: number; cursor?: string }): FindPosition | null {
  const { limit, cursor } = page;
  if (!Number.isInteger(limit) || limit < 1 || limit > 100)
    throw invalid("`limit` must be an integer from 1 to 100");
  return cursor === undefined ? null : decodeCursor(cursor);
}

/** Whether a row is among those that a filter selects. For stores that filter in the process. */
export function matches(row: SessionRow, filter: Filter): boolean {
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, expiresAfter, dirty } =
    filter;
  if (status === undefined ? row.status === "deleting" : !status.includes(row.status)) return false;
  if (userId !== undefined && row.userId !== userId) return false;
  if (agentName !== undefined && row.agentName !== agentName) return false;
  if (updatedBefore !== undefined && row.updatedAt >= updatedBefore) return false;
  if (updatedAfter !== undefined && row.updatedAt <= updatedAfter) return false;
  if (expiresBefore !== undefined && (row.expiresAt === null || row.expiresAt >= expiresBefore)) return false;
  if (expiresAfter !== undefined && isExpired(row, expiresAfter)) return false;
  return dirty === undefined || row.dirty === dirty;
}

/** The order of `find`: newest `createdAt` first, then ids ascending by their UTF-8 bytes. */
export function compareFound(a: FindPosition, b: FindPosition): number {
  return b.createdAt - a.createdAt || compareBytes(a.id, b.id);
}

/** Compares texts by their UTF-8 bytes: by code point, where UTF-16 puts astral characters before U+E000..U+FFFF. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function invalid(message: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `find: ${message}`, { operation: "find" });
}
