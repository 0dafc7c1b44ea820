import type { StoredRecord } from "../contract/facets.js";
import { checkRecordKey } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { Commit, Expectation } from "../contract/turns.js";
import { RecordConflictError, ValidationError, WaymarkError } from "../errors.js";
import { type CommitNow, type Patience, checkPatience } from "../turn/patience.js";
import { expiry, opened, recordBytes } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { stampOf, systemOf } from "../turn/system.js";
import { invalid, ownerOf } from "./check.js";
import type { WriteOptions } from "./options.js";
import { type RecordOwner, checkOwner, placeOf, presentIn, sessionIdOf } from "./record-reads.js";
import { encodeRecordValue } from "./record-values.js";
import type { Reading } from "./saving.js";

/** How a record is written. */
export interface RecordOptions extends Pick<WriteOptions, "reopen" | "signal"> {
  /** Only if the record still has this revision; null: only if there is none. Default: whatever is there. */
  readonly ifRevision?: string | null | undefined;
}

/** What a call does to a record. */
export type RecordChange =
  { readonly isDelete: false; readonly value: unknown } | { readonly isDelete: true };

/** A write of a record, as it was when the call was made. */
export interface PreparedRecord {
  readonly of: RecordOwner;
  readonly key: string;
  /** Null removes. */
  readonly value: Json;
  readonly options: RecordOptions;
}

/** @throws `INVALID_ARGUMENT`, `INVALID_ID`, `INVALID_VALUE` */
export function prepareRecord(
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
export async function writeRecord(
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
