import { decodeValue } from "../codec/decode.js";
import type { RecordWrite, StoredRecord } from "../contract/facets.js";
import { compareBytes } from "../contract/find.js";
import { checkId, checkIdBytes, checkRecordKey } from "../contract/id.js";
import type { SessionRow } from "../contract/row.js";
import { applicationScope, sessionScope, userScope } from "../contract/scope.js";
import { checkPatience } from "../turn/patience.js";
import { stampOf, systemOf } from "../turn/system.js";
import { checkCount, invalid, isOwn, ownerOf } from "./check.js";
import { type List, listOf } from "./list.js";
import type { Reading } from "./saving.js";

/** Whose records: of a session, of a user, or of the whole application. */
export type RecordOwner =
  | "application"
  | { readonly userId: string; readonly sessionId?: undefined }
  /** `userId`: who asks for them; default: the manager's. */
  | { readonly sessionId: string; readonly userId?: string | undefined };

/** A record as it is read back. */
export interface SavedRecord {
  readonly key: string;
  readonly value: unknown;
  /** Made new at every write of the record. */
  readonly revision: string;
}

const largestPage = 100;

/** @throws `INVALID_ARGUMENT`, `INVALID_ID` */
export function checkOwner(of: RecordOwner, operation: string): void {
  if (of === "application") return;
  if (typeof of !== "object" || of === null)
    throw invalid(operation, 'records are those of `{ sessionId }`, of `{ userId }` or of "application"');
  if (of.sessionId !== undefined) checkId(of.sessionId, operation);
  if (of.sessionId === undefined || of.userId !== undefined) checkId(of.userId, operation, "user id");
}

/** Where records are, as of a moment. */
export interface Place {
  readonly scope: string;
  /** Null for records of a user or of the application. */
  readonly row: SessionRow | null;
  /** What the row holds that may not be in the store yet. */
  readonly pending: readonly RecordWrite[];
}

const alone = (scope: string): Place => ({ scope, row: null, pending: [] });

/** Null: there is no such session. */
export async function placeOf(saving: Reading, of: RecordOwner, operation: string): Promise<Place | null> {
  if (of === "application") return alone(applicationScope);
  if (of.sessionId === undefined) {
    checkIdBytes(of.userId, saving.idBytes, operation, "user id");
    return alone(userScope(of.userId));
  }
  const owner = ownerOf(of.userId, saving.userId, operation);
  const found = await saving.store.load(of.sessionId, 0);
  if (found === null || !isOwn(found.row, owner)) return null;
  const { row } = found;
  return { scope: sessionScope(row.id, row.life), row, pending: systemOf(row).records ?? [] };
}

/** The record that is there as of a place, which the row may hold before the store does. */
export async function presentIn(
  saving: Reading,
  { scope, pending }: Place,
  key: string,
  operation: string,
): Promise<StoredRecord | null> {
  const stored = await saving.store.records(operation).get(scope, key);
  const held = pending.find((record) => record.key === key);
  if (held === undefined || (stored !== null && compareBytes(stored.stamp, held.stamp) >= 0)) return stored;
  return held.value === null ? null : held;
}

export async function getRecord(
  saving: Reading,
  of: RecordOwner,
  key: string,
  operation: string,
): Promise<SavedRecord | null> {
  saving.store.records(operation);
  const place = await placeOf(saving, of, operation);
  const found = place === null ? null : await presentIn(saving, place, key, operation);
  return found === null ? null : savedOf(found, of, operation);
}

/** @throws `INVALID_ARGUMENT`, `INVALID_ID` */
export function checkPage(
  {
    after,
    limit = largestPage,
  }: { readonly after?: string | undefined; readonly limit?: number | undefined },
  operation: string,
): { readonly after: string | undefined; readonly limit: number } {
  if (after !== undefined) checkRecordKey(after, operation, "key `after`");
  checkCount(limit, [1, largestPage], operation, "limit");
  return { after, limit };
}

export async function listRecords(
  saving: Reading,
  of: RecordOwner,
  { after, limit }: ReturnType<typeof checkPage>,
  operation: string,
): Promise<List<SavedRecord>> {
  const { environment, deadlineMs } = saving;
  const records = saving.store.records(operation);
  const patience = { deadline: environment.now() + deadlineMs };
  for (let retry = 1; ; retry++) {
    const place = await placeOf(saving, of, operation);
    if (place === null) return listOf([], null);
    const page = await records.list(place.scope, {
      limit: limit + 1,
      ...(after === undefined ? {} : { after }),
    });
    const { row } = place;
    const newest = row === null ? null : stampOf(systemOf(row).count);
    // A turn that came in between may be delivered in part: its row has the rest.
    if (row === null || newest === null || page.every(({ stamp }) => compareBytes(stamp, newest) <= 0)) {
      const { items, next } = merge(page, place.pending, after, limit);
      return listOf(
        items.map((record) => savedOf(record, of, operation)),
        next,
      );
    }
    checkPatience(patience, environment.now(), row.id);
    await environment.pause(retry);
  }
}

/** A page of what is stored, as it is when what is pending has arrived. */
function merge(
  stored: readonly StoredRecord[],
  pending: readonly RecordWrite[],
  after: string | undefined,
  limit: number,
): { items: StoredRecord[]; next: string | null } {
  const end = stored.length > limit ? stored.at(-1)?.key : undefined;
  const byKey = new Map(stored.map((record) => [record.key, record]));
  for (const record of pending) {
    const { key, value, stamp } = record;
    if (after !== undefined && compareBytes(key, after) <= 0) continue;
    // What is behind the page's end comes with the next one.
    if (end !== undefined && compareBytes(key, end) > 0) continue;
    const there = byKey.get(key);
    if (there !== undefined && compareBytes(there.stamp, stamp) >= 0) continue;
    if (value === null) byKey.delete(key);
    else byKey.set(key, record);
  }
  const items = [...byKey.values()].toSorted((a, b) => compareBytes(a.key, b.key));
  const page = items.slice(0, limit);
  return { items: page, next: items.length > limit ? (page.at(-1)?.key ?? null) : (end ?? null) };
}

function savedOf({ key, value, revision }: StoredRecord, of: RecordOwner, operation: string): SavedRecord {
  return { key, value: decodeValue(value, { operation, sessionId: sessionIdOf(of) }), revision };
}

export function sessionIdOf(of: RecordOwner): string | undefined {
  return typeof of === "object" && of !== null ? of.sessionId : undefined;
}
