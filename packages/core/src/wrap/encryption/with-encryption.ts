import type { PersistenceAdapter } from "../../contract/adapter.js";
import type { Records, StoredRecord } from "../../contract/facets.js";
import { checkId, checkRecordKey } from "../../contract/id.js";
import type { MessageRepository, SessionRepository } from "../../contract/repositories.js";
import type { Entry, SessionRow } from "../../contract/row.js";
import { ValidationError, isUnreadable } from "../../errors.js";
import { wrapAdapter } from "../base.js";
import { type Cipher, createCipher } from "./cipher.js";
import { type EncryptionKey, prepareKeys } from "./keys.js";
import { openEntry, openRecord, openRow, sealEntry, sealRecord, sealRow } from "./parts.js";
import { encryptTurns } from "./turns.js";

export type { EncryptionKey } from "./keys.js";

export interface EncryptionOptions {
  /**
   * The first key writes, all of them read. To rotate, put a new one in front; what an old one has written is encrypted
   * again by `encryptStore`, and then the old one can go.
   */
  readonly keys: readonly EncryptionKey[];
  /**
   * What is done with what is stored without encryption: `refuse` fails with `NOT_ENCRYPTED`; `accept` reads it, for the time
   * in which an existing store is being encrypted. Writes are encrypted in both. Default: `refuse`.
   */
  readonly plaintext?: "refuse" | "accept";
}

/** Room for what stands around the contents of a commit, and for a digest. */
const overheadBytes = 1024;

/**
 * The same store with its contents encrypted by AES-256-GCM: states, messages, route history and the values of records.
 * Ids, owners, agents, statuses, times, counters, roles, the copies of route and step, and the scopes and keys of records
 * stay readable, since stores look for them. What was changed, or moved to another place, is refused with
 * `DECRYPTION_FAILED`; that somebody put back an older row of the same session as a whole is not noticed. `search` is
 * dropped, and `limits.commitBytes` is a quarter smaller.
 *
 * Nonces are random, so one key is good for 2^32 encryptions (NIST SP 800-38D, 8.3). A turn makes one for its state and one
 * for each message and record; without the facet `turns`, a few more. Rotate before.
 *
 * @throws ValidationError `INVALID_CONFIGURATION` for keys that are none, and CapabilityError `CAPABILITY_MISSING` where the
 * runtime has no WebCrypto. Calls of the adapter throw `DECRYPTION_FAILED`, `ENCRYPTION_KEY_MISSING` and `NOT_ENCRYPTED`.
 */
export function withEncryption(adapter: PersistenceAdapter, options: EncryptionOptions): PersistenceAdapter {
  const { keys, plaintext = "refuse" } = options;
  refuseEncrypted(adapter, "withEncryption");
  if (plaintext !== "refuse" && plaintext !== "accept")
    throw new ValidationError(
      "INVALID_CONFIGURATION",
      'withEncryption: `plaintext` must be "refuse" or "accept"',
      {
        operation: "withEncryption",
      },
    );
  const cipher = createCipher(prepareKeys(keys, "withEncryption"), plaintext === "accept");
  const encrypted = wrapAdapter(adapter, {
    name: `${adapter.name}, encrypted`,
    // Base64 writes three bytes as four.
    limits: {
      ...adapter.limits,
      commitBytes: Math.floor(((adapter.limits.commitBytes - overheadBytes) * 3) / 4),
    },
    sessionRepository: encryptSessions(adapter.sessionRepository, cipher),
    messageRepository: encryptMessages(adapter.messageRepository, cipher),
    turns: (turns) => encryptTurns(turns, cipher),
    records: (records) => encryptRecords(records, cipher),
  });
  wrappers.add(encrypted);
  return encrypted;
}

const wrappers = new WeakSet<PersistenceAdapter>();

/** What is encrypted twice decrypts only by both. @throws ValidationError `INVALID_ARGUMENT` */
export function refuseEncrypted(adapter: PersistenceAdapter, operation: string): void {
  if (!wrappers.has(adapter)) return;
  const message = `${operation}: this adapter encrypts already; pass the one that it was made of`;
  throw new ValidationError("INVALID_ARGUMENT", message, { operation });
}

function encryptSessions(sessions: SessionRepository, cipher: Cipher): SessionRepository {
  return {
    create: async (row) => {
      checkId(row.id, "create");
      return sessions.create(await sealRow(cipher, row));
    },
    findById: async (id) => {
      const row = await sessions.findById(id);
      return row === null ? null : openRow(cipher, { ...row, id }, "findById");
    },
    update: async (row, seen) => {
      checkId(row.id, "update");
      return sessions.update(await sealRow(cipher, row), seen);
    },
    delete: async (id, seen) => sessions.delete(id, seen),
    find: async (filter, page) => {
      const { items, next } = await sessions.find(filter, page);
      return { items: await Promise.all(items.map((row) => openListed(cipher, row))), next };
    },
  };
}

/** A row that does not decrypt is listed as it is stored, so that it can be counted and removed, and hides no other. */
async function openListed(cipher: Cipher, row: SessionRow): Promise<SessionRow> {
  try {
    return await openRow(cipher, row, "find");
  } catch (error) {
    if (isUnreadable(error)) return row;
    throw error;
  }
}

function encryptMessages(messages: MessageRepository, cipher: Cipher): MessageRepository {
  function sealAll(entries: readonly Entry[], operation: string): Promise<Entry[]> {
    for (const { sessionId } of entries) checkId(sessionId, operation);
    return Promise.all(entries.map((entry) => sealEntry(cipher, entry)));
  }

  return {
    insert: async (entries) => messages.insert(await sealAll(entries, "insert")),
    findBySessionId: async (sessionId, range) => {
      const asking = { operation: "findBySessionId", sessionId };
      const { log } = range;
      const entries = await messages.findBySessionId(sessionId, range);
      return Promise.all(entries.map((entry) => openEntry(cipher, { ...entry, sessionId, log }, asking)));
    },
    deleteBySessionId: async (sessionId, range) => messages.deleteBySessionId(sessionId, range),
    ...(messages.replace === undefined
      ? undefined
      : {
          replace: async (entries) => {
            const sealed = await sealAll(entries, "replace");
            return (await messages.replace?.(sealed)) ?? 0;
          },
        }),
  };
}

function encryptRecords(records: Records, cipher: Cipher): Records {
  return {
    get: async (scope, key) => {
      const record = await records.get(scope, key);
      return record && openRecord(cipher, { ...record, scope, key }, { operation: "records.get" });
    },
    list: async (scope, page) => {
      const found = await records.list(scope, page);
      const asking = { operation: "records.list" };
      return Promise.all(found.map((record) => openRecord(cipher, { ...record, scope }, asking)));
    },
    put: async (record, seen) => {
      checkPlace(record, "put");
      return records.put(await sealRecord(cipher, record), seen);
    },
    apply: async (writes) => {
      for (const write of writes) checkPlace(write, "apply");
      await records.apply(await Promise.all(writes.map((write) => sealRecord(cipher, write))));
    },
    delete: async (scope, key, seen) => records.delete(scope, key, seen),
    deleteScope: async (scope) => records.deleteScope(scope),
    scopes: async (page) => records.scopes(page),
  };
}

function checkPlace({ scope, key }: StoredRecord, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
