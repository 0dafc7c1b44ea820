import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { PersistenceAdapter } from "../contract/adapter.js";
import type { Records } from "../contract/facets.js";
import type { MessageRepository, SessionRepository } from "../contract/repositories.js";
import type { Turns } from "../contract/turns.js";
import { ValidationError } from "../errors.js";
import { append, forCreating, removeFile, withFileSync } from "./disk.js";
import { findDamaged } from "./find.js";
import { formatVersion } from "./frame.js";
import { createMessages } from "./messages.js";
import { folderName, scopeFolderName, uniqueName } from "./names.js";
import { createRecords } from "./records.js";
import { createSessions } from "./sessions.js";
import { type Store, createStore } from "./store.js";
import { createTurns } from "./turns.js";

export interface FileAdapterOptions {
  /** Where the sessions are kept. Default: `sessions` in the folder that `WAYMARK_HOME` names, or in `~/.waymark`. */
  readonly directory?: string;
  /** How long a write waits for the lock of its session before `STORAGE_LOCKED`, in milliseconds. Default: 5000. */
  readonly lockTimeoutMs?: number;
}

/**
 * Keeps sessions as files: a folder for each (0700), with a log of JSON records (0600). A turn is one record appended and
 * made durable; what it costs does not grow with the conversation. A session's records are in its log, those of a user and of
 * the application in a folder each. Any number of processes of one machine may use the same
 * folder at once. Not for network file systems.
 *
 * `find` looks at the end of every session's file, so its time grows with their number; a session that is damaged is left
 * out of its result, and named by `findDamaged`.
 *
 * Throws `STORAGE_FULL`, `STORAGE_LOCKED` and `STORAGE_UNAVAILABLE`, which may be tried again, and `STORAGE_FAILED` and
 * `STORAGE_DAMAGED`, which may not. A damaged session refuses every call, and its file stays as it is.
 */
export class FileAdapter implements PersistenceAdapter {
  readonly name = "file";
  readonly durability = "commit";
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns;
  readonly records: Records;
  /** The folder that is used, as an absolute path. */
  readonly directory: string;
  readonly #store: Store;
  readonly #scopes: Store;

  /** @throws `INVALID_ARGUMENT` */
  constructor({ directory, lockTimeoutMs = 5_000 }: FileAdapterOptions = {}) {
    this.directory = resolve(directory ?? defaultDirectory());
    const options = { directory: this.directory, lockTimeoutMs: checkTimeout(lockTimeoutMs) };
    this.#store = createStore({ ...options, nameOf: folderName });
    this.#scopes = createStore({ ...options, nameOf: scopeFolderName });
    this.sessionRepository = createSessions(this.#store);
    this.messageRepository = createMessages(this.#store);
    this.turns = createTurns(this.#store);
    this.records = createRecords(this.#store, this.#scopes);
  }

  /** Makes the folder. The first call of a repository does the same. @throws `STORAGE_FAILED` where it cannot be written. */
  async initialize(): Promise<void> {
    await this.#store.start({ operation: "initialize" });
    await this.#scopes.start({ operation: "initialize" });
  }

  /** Waits for the writes that have begun. Later calls throw `CLOSED`, until `initialize`. */
  async disconnect(): Promise<void> {
    await Promise.all([this.#store.close(), this.#scopes.close()]);
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    const writable = await this.#store.guard({ operation: "describe" }, async () =>
      isWritable(this.directory),
    );
    return { server: `files in ${this.directory}`, schemaVersion: formatVersion, writable };
  }

  /** Reads every session, and names those whose files do not read back as they were written, each with its error. */
  async findDamaged(): Promise<readonly { readonly sessionId: string; readonly error: unknown }[]> {
    return this.#store.guard({ operation: "findDamaged" }, () => findDamaged(this.#store));
  }
}

function defaultDirectory(): string {
  const home = process.env["WAYMARK_HOME"];
  return join(home === undefined || home === "" ? join(homedir(), ".waymark") : home, "sessions");
}

function checkTimeout(lockTimeoutMs: number): number {
  if (Number.isFinite(lockTimeoutMs) && lockTimeoutMs > 0) return lockTimeoutMs;
  throw new ValidationError("INVALID_ARGUMENT", "`lockTimeoutMs` must be a number of milliseconds above 0", {
    operation: "new FileAdapter",
  });
}

function isWritable(directory: string): boolean {
  const probe = join(directory, `.${uniqueName()}.new`);
  try {
    withFileSync(probe, forCreating, (file) => append(file, Buffer.from("?")));
    return true;
  } catch {
    return false;
  } finally {
    removeFile(probe);
  }
}
