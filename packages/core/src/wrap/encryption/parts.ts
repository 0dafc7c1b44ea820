import type { StoredRecord } from "../../contract/facets.js";
import type { Json } from "../../contract/json.js";
import type { Entry, SessionRow } from "../../contract/row.js";
import { type Operation, type System, isSystem } from "../../turn/system.js";
import type { Asking, Cipher, Place } from "./cipher.js";

// Kinds are the words that errors use.

/** A state belongs to one version of one life of its session. */
export function statePlace({ id, life, version }: Pick<SessionRow, "id" | "life" | "version">): Place {
  return ["the state", id, life, version];
}

/** All that stands beside the text of an entry, and stays as it is for ever. */
function entryPlace({ sessionId, log, sequence, role, userId, createdAt }: Entry): Place {
  return ["an entry", sessionId, log, sequence, role, userId, createdAt];
}

export function recordPlace(scope: string, key: string): Place {
  return ["a record", scope, key];
}

export function digestPlace(sessionId: string, operationId: string): Place {
  return ["the digest of an operation", sessionId, operationId];
}

function systemPlace({ id, life }: SessionRow): Place {
  return ["the field `system`", id, life];
}

/** Content and body together are one ciphertext, in the place of the body. */
export async function sealEntry(cipher: Cipher, entry: Entry): Promise<Entry> {
  const { content, body } = entry;
  return { ...entry, content: "", body: await cipher.seal([content, body], entryPlace(entry)) };
}

export async function openEntry(cipher: Cipher, entry: Entry, asking: Asking): Promise<Entry> {
  const opened = await cipher.open(entry.body, entryPlace(entry), asking);
  if (!cipher.isSealed(entry.body)) return entry;
  const [content, body] = isList(opened) ? opened : [];
  return { ...entry, content: typeof content === "string" ? content : "", body: body ?? null };
}

/** A null is a record that was removed: there is nothing to encrypt. */
export async function sealRecord<T extends StoredRecord>(cipher: Cipher, record: T): Promise<T> {
  const { scope, key, value } = record;
  return value === null ? record : { ...record, value: await cipher.seal(value, recordPlace(scope, key)) };
}

export async function openRecord<T extends StoredRecord>(
  cipher: Cipher,
  record: T,
  asking: Asking,
): Promise<T> {
  const { scope, key, value } = record;
  if (value === null) return record;
  return { ...record, value: await cipher.open(value, recordPlace(scope, key), asking) };
}

export async function sealRow(cipher: Cipher, row: SessionRow): Promise<SessionRow> {
  const copy = { ...row };
  const [state, system] = await Promise.all([
    isTombstone(row) ? null : cipher.seal(row.state, statePlace(row)),
    sealSystem(cipher, row),
  ]);
  return { ...copy, state, system };
}

export async function openRow(cipher: Cipher, row: SessionRow, operation: string): Promise<SessionRow> {
  const asking = { operation, sessionId: row.id };
  const [state, system] = await Promise.all([
    isTombstone(row) ? null : cipher.open(row.state, statePlace(row), asking),
    openSystem(cipher, row, asking),
  ]);
  return { ...row, state, system };
}

/** A session that is being deleted has no content any more. */
function isTombstone({ status, state }: SessionRow): boolean {
  return status === "deleting" && state === null;
}

/**
 * Core's own part stays readable, since stores look into it, but for what people said: pending entries are encrypted as the
 * entries they will be, and digests, which a short text could be guessed from. Anything else is encrypted as a whole.
 */
async function sealSystem(cipher: Cipher, row: SessionRow): Promise<Json> {
  const { id, system } = row;
  if (!isKnown(system)) return cipher.seal(system, systemPlace(row));
  const { pending, records, operations } = system;
  return changed(
    system,
    pending.map((entry) => sealEntry(cipher, entry)),
    records?.map((record) => sealRecord(cipher, record)),
    operations.map((operation) => cipher.sealDigest(operation.digest, digestPlace(id, operation.id))),
  );
}

async function openSystem(cipher: Cipher, row: SessionRow, asking: Asking): Promise<Json> {
  const { id, system } = row;
  if (cipher.isSealed(system) || !isKnown(system)) return cipher.open(system, systemPlace(row), asking);
  const { pending, records, operations } = system;
  return changed(
    system,
    pending.map((entry) => openEntry(cipher, { ...entry, sessionId: id }, asking)),
    records?.map((record) => openRecord(cipher, record, asking)),
    operations.map(({ id: name, digest }) => cipher.openDigest(digest, digestPlace(id, name), asking)),
  );
}

async function changed(
  system: System,
  pending: readonly Promise<Entry>[],
  records: readonly Promise<StoredRecord>[] | undefined,
  digests: readonly Promise<string>[],
): Promise<Json> {
  const [entries, writes, texts] = await Promise.all([
    Promise.all(pending),
    records && Promise.all(records),
    Promise.all(digests),
  ]);
  const operations = system.operations.map((operation, index) => ({
    ...operation,
    digest: texts[index] ?? "",
  }));
  return { ...system, pending: entries, ...(writes && { records: writes }), operations };
}

/** Whether everything of a row is encrypted by the key that writes now. */
export function isRowCurrent(cipher: Cipher, row: SessionRow): boolean {
  const { system } = row;
  if (!isTombstone(row) && !cipher.isCurrent(row.state)) return false;
  if (!isKnown(system)) return cipher.isCurrent(system);
  const { pending, records = [], operations } = system;
  return (
    pending.every(({ body }) => cipher.isCurrent(body)) &&
    records.every(({ value }) => value === null || cipher.isCurrent(value)) &&
    operations.every(({ digest }) => cipher.isCurrentDigest(digest))
  );
}

function isKnown(system: Json): system is System {
  if (!isSystem(system)) return false;
  const { pending, records = [], operations } = system;
  return pending.every(isEntry) && records.every(isRecord) && operations.every(isOperation);
}

const hasTexts = (value: object, ...names: readonly string[]) =>
  names.every((name) => typeof Reflect.get(value, name) === "string");

function isEntry(value: Entry): boolean {
  return (
    typeof value === "object" && value !== null && hasTexts(value, "sessionId", "log", "role", "content")
  );
}

function isRecord(value: StoredRecord): boolean {
  return typeof value === "object" && value !== null && hasTexts(value, "scope", "key");
}

function isOperation(value: Operation): boolean {
  return typeof value === "object" && value !== null && hasTexts(value, "id", "digest");
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
