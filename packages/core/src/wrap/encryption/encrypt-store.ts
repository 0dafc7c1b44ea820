import type { PersistenceAdapter } from "../../contract/adapter.js";
import type { Records, StoredRecord } from "../../contract/facets.js";
import type { MessageRepository } from "../../contract/repositories.js";
import type { Entry, SessionRow, Status } from "../../contract/row.js";
import { CapabilityError, WaymarkError } from "../../errors.js";
import { randomId, systemEnvironment } from "../../turn/environment.js";
import { historyLog } from "../../turn/system.js";
import { type Cipher, createCipher } from "./cipher.js";
import { type EncryptionKey, prepareKeys } from "./keys.js";
import { isRowCurrent, openEntry, openRecord, openRow, sealEntry, sealRecord, sealRow } from "./parts.js";
import { refuseEncrypted } from "./with-encryption.js";

export interface EncryptStoreOptions {
  /** As for `withEncryption`: the first writes, all read. */
  readonly keys: readonly EncryptionKey[];
  /** Called after each session and each scope of records. A throw ends the run, which can be begun again. */
  readonly onProgress?: (report: EncryptReport) => void;
}

/** What a run has done so far. A run that had nothing left to do has 0 for rows, messages and records. */
export interface EncryptReport {
  /** Sessions that were looked at. */
  readonly sessions: number;
  /** Session rows that were encrypted. */
  readonly rows: number;
  /** Messages and entries of route history that were encrypted. */
  readonly messages: number;
  /** Records that were encrypted. */
  readonly records: number;
}

const operation = "encryptStore";
const statuses: readonly Status[] = ["active", "completed", "abandoned", "deleting"];
const pageLimit = 100;
const rangeLimit = 1000;
/** Each takes a few calls of the store, one after the other. */
const sessionsAtOnce = 8;
/** Each failed try is a write of somebody else. */
const mostTries = 100;

/**
 * Encrypts what is stored without encryption, or with another key than the first, with the first: rows, tombstones too,
 * messages, route history and records. Pass the adapter itself, not what `withEncryption` made of it. When it has ended, only the
 * first key is needed, and plaintext can be refused.
 *
 * Run it beside processes that use the store, all of which write by `withEncryption` with `plaintext: "accept"` and the same
 * first key already. Each row is changed only where it is as it was read, and its version stays, so no turn meets a conflict;
 * a record gets a new revision. A run that was cut short is begun again, and finishes.
 *
 * @throws CapabilityError `CAPABILITY_MISSING` where the adapter cannot replace messages (`MessageRepository.replace`), before
 * anything is written; `DECRYPTION_FAILED` and `ENCRYPTION_KEY_MISSING` for what does not decrypt; `SESSION_BUSY` where others
 * wrote a row as often as it was tried.
 */
export async function encryptStore(
  adapter: PersistenceAdapter,
  { keys, onProgress }: EncryptStoreOptions,
): Promise<EncryptReport> {
  refuseEncrypted(adapter, operation);
  const cipher = createCipher(prepareKeys(keys, operation), true);
  await adapter.initialize?.();
  if (adapter.messageRepository.replace === undefined)
    throw new CapabilityError(
      `${operation}: the adapter "${adapter.name}" cannot replace messages; nothing was written`,
      { operation },
    );
  const report = { sessions: 0, rows: 0, messages: 0, records: 0 };
  const tell = () => onProgress?.({ ...report });
  const { records } = adapter;
  // Before the messages: a store of files drops what was there before when it writes messages anew.
  if (records !== undefined) {
    for await (const scopes of scopesOf(records)) {
      await eachOf(scopes, async (scope) => {
        const count = await encryptScope(records, cipher, scope);
        report.records += count;
        tell();
      });
    }
  }
  for await (const rows of pagesOf(adapter)) {
    await eachOf(rows, async (row) => {
      const rows = await encryptRow(adapter, cipher, row);
      const messages = await encryptEntries(adapter.messageRepository, cipher, row);
      report.rows += rows;
      report.messages += messages;
      report.sessions++;
      tell();
    });
  }
  await adapter.flush?.();
  return report;
}

async function* pagesOf({ sessionRepository }: PersistenceAdapter): AsyncGenerator<readonly SessionRow[]> {
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = cursor === undefined ? { limit: pageLimit } : { limit: pageLimit, cursor };
    const { items, next } = await sessionRepository.find({ status: statuses }, page);
    yield items;
    cursor = next;
  }
}

async function* scopesOf(records: Records): AsyncGenerator<readonly string[]> {
  let after: string | undefined;
  for (;;) {
    const scopes = await records.scopes({ ...(after !== undefined && { after }), limit: rangeLimit });
    yield scopes;
    after = scopes.at(-1);
    if (after === undefined) return;
  }
}

/** A few at once. The first error is thrown when none is at work any more. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let begin = 0; begin < items.length; begin += sessionsAtOnce) {
    const ended = await Promise.allSettled(items.slice(begin, begin + sessionsAtOnce).map(work));
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }
}

/** How many rows it wrote: one or none. */
async function encryptRow(
  { sessionRepository }: PersistenceAdapter,
  cipher: Cipher,
  found: SessionRow,
): Promise<number> {
  const { id } = found;
  let row: SessionRow | null = found;
  for (let tries = 1; row !== null && !isRowCurrent(cipher, row); tries++) {
    const plain: SessionRow = await openRow(cipher, row, operation);
    const sealed = await sealRow(cipher, { ...plain, revision: randomId() });
    if (await sessionRepository.update(sealed, row.revision)) return 1;
    if (tries === mostTries) throw busy(id);
    await systemEnvironment.pause(tries);
    row = await sessionRepository.findById(id);
  }
  return 0;
}

/** How many entries of its messages and its route history it wrote. */
async function encryptEntries(
  messages: MessageRepository,
  cipher: Cipher,
  { id, life, first, last }: SessionRow,
): Promise<number> {
  // Where a trim was cut short, what it was to remove is still there.
  if (first > 1) await messages.deleteBySessionId(id, { log: life, to: first - 1 });
  let count = 0;
  for (let from = first; from <= last; from += rangeLimit) {
    const to = Math.min(last, from + rangeLimit - 1);
    count += await encryptAll(
      messages,
      cipher,
      id,
      await messages.findBySessionId(id, { log: life, from, to }),
    );
  }
  // The history has no gaps, and how long it is stands in the state.
  const log = historyLog(life);
  for (let from = 1; ; from += rangeLimit) {
    const entries = await messages.findBySessionId(id, { log, from, to: from + rangeLimit - 1 });
    count += await encryptAll(messages, cipher, id, entries);
    if (entries.length < rangeLimit) return count;
  }
}

async function encryptAll(
  messages: MessageRepository,
  cipher: Cipher,
  sessionId: string,
  entries: readonly Entry[],
): Promise<number> {
  const old = entries.filter(({ body }) => !cipher.isCurrent(body));
  if (old.length === 0) return 0;
  const asking = { operation, sessionId };
  const sealed = old.map(async (entry) => sealEntry(cipher, await openEntry(cipher, entry, asking)));
  return (await messages.replace?.(await Promise.all(sealed))) ?? 0;
}

async function encryptScope(records: Records, cipher: Cipher, scope: string): Promise<number> {
  let count = 0;
  let after: string | undefined;
  for (;;) {
    const page = await records.list(scope, { ...(after !== undefined && { after }), limit: rangeLimit });
    for (const record of page) count += await encryptRecord(records, cipher, record);
    after = page.at(-1)?.key;
    if (after === undefined) return count;
  }
}

/**
 * Writes the record in the place of what was read and of nothing else, with the stamp that it has: so a turn that comes
 * before it is not lost, and one that comes after it wins as it would have.
 */
async function encryptRecord(records: Records, cipher: Cipher, found: StoredRecord): Promise<number> {
  const { scope, key } = found;
  let record: StoredRecord | null = found;
  for (let tries = 1; record !== null && !cipher.isCurrent(record.value); tries++) {
    const plain: StoredRecord = await openRecord(cipher, record, { operation });
    const sealed = await sealRecord(cipher, { ...plain, revision: randomId() });
    if (await records.put(sealed, record.revision)) return 1;
    if (tries === mostTries) throw busy();
    await systemEnvironment.pause(tries);
    record = await records.get(scope, key);
  }
  return 0;
}

function busy(sessionId?: string): WaymarkError {
  const message = `${operation}: others write without encryption, or with another key; what is done stays, run it again`;
  return new WaymarkError("SESSION_BUSY", message, { operation, sessionId });
}
