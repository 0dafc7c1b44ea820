import { decodeValue } from "../codec/decode.js";
import type { RecordWrite, StoredRecord } from "../contract/facets.js";
import { compareBytes } from "../contract/find.js";
import { checkId, checkIdBytes, checkRecordKey } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { SessionRow } from "../contract/row.js";
import { applicationScope, sessionScope, userScope } from "../contract/scope.js";
import type { Commit, Expectation } from "../contract/turns.js";
import { RecordConflictError, ValidationError, WaymarkError } from "../errors.js";
import { type CommitNow, type Patience, checkPatience } from "../turn/patience.js";
import { expiry, opened, recordBytes } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { stampOf, systemOf } from "../turn/system.js";
import type { Around } from "./around.js";
import { checkCount, invalid, isOwn, ownerOf } from "./check.js";
import { type List, listOf } from "./list.js";
import type { WriteOptions } from "./options.js";
import { encodeRecordValue } from "./record-values.js";
import type { ManagerCall, Reading } from "./saving.js";

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

/** How a record is written. */
export interface RecordOptions extends Pick<WriteOptions, "reopen" | "signal"> {
  /** Only if the record still has this revision; null: only if there is none. Default: whatever is there. */
  readonly ifRevision?: string | null | undefined;
}

/**
 * Values by key, in the order of the keys' UTF-8 bytes. A session's are part of it: they count as its writes, end with it,
 * and nobody but its owner reaches them; where there is no such session, there are no records.
 *
 * Each call throws `CAPABILITY_MISSING` where the adapter keeps no records, and `INVALID_ID` for a key that is not 1 to 256
 * bytes of well-formed UTF-8.
 */
export interface RecordStore {
  /** Null: there is none. */
  get(key: string): Promise<SavedRecord | null>;
  /**
   * Records with keys greater than `after`. `next` is the `after` of the following page, null on the last.
   * @param page.limit 1 to 100; default 100.
   */
  list(page?: {
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<List<SavedRecord>>;
  /**
   * Stores a value: anything that a session may hold but null and undefined. Resolves to the record's revision.
   * @throws `RecordConflictError` where it is not as `ifRevision` says; `SESSION_NOT_FOUND` and `SESSION_CLOSED`;
   * `SESSION_BUSY` where others kept writing it until the deadline; `INVALID_VALUE`, `COMMIT_TOO_LARGE`
   */
  put(key: string, value: unknown, options?: RecordOptions): Promise<string>;
  /** Removes a record. False: there is none. @throws as `put` */
  delete(key: string, options?: RecordOptions): Promise<boolean>;
}

/** How the manager runs a call. */
type RunCall<TData> = <T>(
  operation: string,
  sessionId: string | undefined,
  work: (call: ManagerCall<TData>) => Promise<T>,
) => Promise<T>;

/** The calls of the manager for the records of one owner; those of a session have the hooks of a session around them. */
export function createRecordStore<TData>(
  of: RecordOwner,
  around: Around<TData>,
  run: RunCall<TData>,
): RecordStore {
  const sessionId = sessionIdOf(of);

  function read<T>(call: ManagerCall<TData>, get: (saving: Reading) => Promise<T>): Promise<T> {
    const { operation, ticket, ready } = call;
    const load = async () => get(await ready());
    if (sessionId === undefined) return load();
    return around.load({ operation, sessionId, ticket }, load, () => ({ messages: [] }));
  }

  function write(
    name: string,
    key: string,
    change: RecordChange,
    options: RecordOptions,
  ): Promise<string | null> {
    return run(name, sessionId, async ({ operation, ticket, ready }) => {
      const record = prepareRecord(of, key, change, options, operation);
      const save = async () => writeRecord(await ready(), record, operation);
      if (sessionId === undefined) return save();
      const event = { messages: [], records: [{ key, value: change.isDelete ? null : change.value }] };
      return around.save({ operation, sessionId, ticket }, event, save);
    });
  }

  return {
    get: (key) =>
      run("records.get", sessionId, async (call) => {
        checkOwner(of, call.operation);
        checkRecordKey(key, call.operation);
        return read(call, (saving) => getRecord(saving, of, key, call.operation));
      }),
    list: (page = {}) =>
      run("records.list", sessionId, async (call) => {
        checkOwner(of, call.operation);
        const checked = checkPage(page, call.operation);
        return read(call, (saving) => listRecords(saving, of, checked, call.operation));
      }),
    async put(key, value, options = {}) {
      const revision = await write("records.put", key, { value, isDelete: false }, options);
      if (revision === null) throw new TypeError("a record that was stored has a revision");
      return revision;
    },
    delete: async (key, options = {}) =>
      (await write("records.delete", key, { isDelete: true }, options)) !== null,
  };
}

const largestPage = 100;

/** @throws `INVALID_ARGUMENT`, `INVALID_ID` */
function checkOwner(of: RecordOwner, operation: string): void {
  if (of === "application") return;
  if (typeof of !== "object" || of === null)
    throw invalid(operation, 'records are those of `{ sessionId }`, of `{ userId }` or of "application"');
  if (of.sessionId !== undefined) checkId(of.sessionId, operation);
  if (of.sessionId === undefined || of.userId !== undefined) checkId(of.userId, operation, "user id");
}

/** Where records are, as of a moment. */
interface Place {
  readonly scope: string;
  /** Null for records of a user or of the application. */
  readonly row: SessionRow | null;
  /** What the row holds that may not be in the store yet. */
  readonly pending: readonly RecordWrite[];
}

const alone = (scope: string): Place => ({ scope, row: null, pending: [] });

/** Null: there is no such session. */
async function placeOf(saving: Reading, of: RecordOwner, operation: string): Promise<Place | null> {
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
async function presentIn(
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

async function getRecord(
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
function checkPage(
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

async function listRecords(
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

function sessionIdOf(of: RecordOwner): string | undefined {
  return typeof of === "object" && of !== null ? of.sessionId : undefined;
}

/** What a call does to a record. */
type RecordChange = { readonly isDelete: false; readonly value: unknown } | { readonly isDelete: true };

/** A write of a record, as it was when the call was made. */
interface PreparedRecord {
  readonly of: RecordOwner;
  readonly key: string;
  /** Null removes. */
  readonly value: Json;
  readonly options: RecordOptions;
}

/** @throws `INVALID_ARGUMENT`, `INVALID_ID`, `INVALID_VALUE` */
function prepareRecord(
  of: RecordOwner,
  key: string,
  write: RecordChange,
  options: RecordOptions,
  operation: string,
): PreparedRecord {
  checkOwner(of, operation);
  checkRecordKey(key, operation);
  const { ifRevision } = options;
  if (ifRevision !== undefined && ifRevision !== null && typeof ifRevision !== "string")
    throw invalid(operation, "`ifRevision` must be a revision, or null for no record", sessionIdOf(of));
  const context = { operation, sessionId: sessionIdOf(of), path: ["value"] };
  const value = write.isDelete ? null : encodeRecordValue(write.value, context);
  return { of, key, value, options };
}

/** Writes a record, or removes it; resolves to its revision. Null: there was nothing to remove. */
async function writeRecord(
  saving: Reading,
  record: PreparedRecord,
  operation: string,
): Promise<string | null> {
  const { of, key, value } = record;
  const bytes = recordBytes({ key, value }, saving.commitBytes);
  if (bytes > saving.commitBytes) throw tooLarge(of, bytes, saving.commitBytes, operation);
  saving.store.records(operation);
  const { signal } = record.options;
  const patience: Patience = { deadline: saving.environment.now() + saving.deadlineMs, signal };
  const sessionId = sessionIdOf(of);
  if (sessionId === undefined) return writeAlone(saving, record, patience, operation);
  return saving.store.inOrder(
    sessionId,
    (commitNow) => writeInSession(saving, sessionId, record, { commitNow, patience }, operation),
    signal,
  );
}

/** As a commit of the session: what it depends on is that nothing was committed since the record was looked at. */
async function writeInSession(
  saving: Reading,
  id: string,
  { of, key, value, options }: PreparedRecord,
  { commitNow, patience }: { readonly commitNow: CommitNow; readonly patience: Patience },
  operation: string,
): Promise<string | null> {
  const { environment, expireAfterMs } = saving;
  const owner = typeof of === "object" ? ownerOf(of.userId, saving.userId, operation) : undefined;
  for (let retry = 1; ; retry++) {
    let expect: Expectation = { kind: "append" };
    let known: number | null = null;
    if (value === null || options.ifRevision !== undefined) {
      const place = await placeOf(saving, of, operation);
      if (place === null || place.row === null) {
        if (value === null) return null;
        throw refusalError({ status: "absent" }, operation, id);
      }
      const present = await presentIn(saving, place, key, operation);
      if (value === null && present === null) return null;
      checkRevision(options, present, of, key, operation);
      known = systemOf(place.row).count;
      expect = { kind: "append", operations: known };
    }
    const at = environment.now();
    const commit: Commit = {
      id,
      expect,
      operation: { id: environment.newId(), digest: "" },
      revision: environment.newId(),
      at,
      owner,
      reopen: options.reopen,
      set: { ...(options.reopen === true ? opened : undefined), ...expiry(expireAfterMs, at) },
      messages: [],
      history: [],
      records: [{ key, value }],
    };
    const outcome = await commitNow(commit, patience, known);
    if (isStored(outcome)) return commit.revision;
    if (outcome.status !== "conflict") throw refusalError(outcome, operation, id);
    checkPatience(patience, environment.now(), id);
    await environment.pause(retry);
  }
}

/** With its own revision: there is nothing else that it could be part of. */
async function writeAlone(
  saving: Reading,
  { of, key, value, options }: PreparedRecord,
  patience: Patience,
  operation: string,
): Promise<string | null> {
  const { environment } = saving;
  const records = saving.store.records(operation);
  const place = await placeOf(saving, of, operation);
  if (place === null) return null;
  const { scope } = place;
  for (let retry = 1; ; retry++) {
    if (patience.signal?.aborted === true) throw aborted(patience.signal, operation);
    const present = await records.get(scope, key);
    if (value === null && present === null) return null;
    checkRevision(options, present, of, key, operation);
    const seen = present?.revision ?? null;
    const revision = environment.newId();
    const isWritten =
      value === null
        ? seen !== null && (await records.delete(scope, key, seen))
        : await records.put({ scope, key, value, revision, stamp: stampOf(0) }, seen);
    if (isWritten) return revision;
    if (environment.now() >= patience.deadline) {
      const message = `${operation}: other writers kept the record busy until the deadline; nothing was written`;
      throw new WaymarkError("SESSION_BUSY", message, { operation });
    }
    await environment.pause(retry);
  }
}

/** @throws `RECORD_CONFLICT` */
function checkRevision(
  { ifRevision }: RecordOptions,
  present: StoredRecord | null,
  of: RecordOwner,
  key: string,
  operation: string,
): void {
  const actual = present?.revision ?? null;
  if (ifRevision === undefined || ifRevision === actual) return;
  throw new RecordConflictError(`${operation}: the record was changed by somebody else; read it again`, {
    ...{ operation, sessionId: sessionIdOf(of), key },
    ...{ expected: ifRevision, actual },
  });
}

function aborted(signal: AbortSignal, operation: string): WaymarkError {
  const message = `${operation}: the signal was aborted before the record was stored`;
  return new WaymarkError("ABORTED", message, { operation, cause: signal.reason });
}

function tooLarge(of: RecordOwner, bytes: number, limit: number, operation: string): ValidationError {
  const message =
    `${operation}: the record has ${bytes} bytes of JSON and the store takes ${limit}; nothing was written. ` +
    "Keep large values elsewhere and a reference to them in the record";
  return new ValidationError("COMMIT_TOO_LARGE", message, { operation, sessionId: sessionIdOf(of) });
}
