import { keepFile } from "#file";
import {
  type MessageRepository,
  type PersistenceAdapter,
  type Records,
  type Search,
  type SessionRepository,
  type Turns,
  ValidationError,
} from "@waymark/core/adapter";
import { type Driver, type SQLiteHandle, driverOf, isSqlJs } from "./client.js";
import { type Database, createDatabase } from "./database.js";
import { failure } from "./failure.js";
import { checkSettings, describeDatabase, isOnDisk } from "./settings.js";
import type { FileKeeper } from "./file/keeper.js";
import { createEntries, createMessages } from "./messages.js";
import { createKeptRecords, createRecords } from "./records.js";
import { type Names, type TableNames, createTables, namesOf } from "./schema.js";
import { canSearch, createSearch, prepareSearch } from "./search.js";
import { createRows, createSessions } from "./sessions.js";
import { createTurns } from "./turns.js";

export interface SQLiteAdapterOptions {
  /** A database opened with sql.js, better-sqlite3 or `node:sqlite`. It stays yours: the adapter never closes it. */
  readonly db: SQLiteHandle;
  /** Names of the tables. Default: `agent_sessions`, `agent_messages` and `agent_records`. */
  readonly tables?: TableNames;
  /** With sql.js under Node: the file to keep the database in, which it was loaded from. Default: memory alone. */
  readonly file?: string;
  /**
   * Whether `manager.search` works, where SQLite has FTS5 (better-sqlite3 and `node:sqlite` have it, sql.js has not):
   * `initialize` then makes an index of the words of all messages, which each later turn keeps right, whichever process saves
   * it. Default: false, so that nobody who does not search pays for it.
   */
  readonly search?: boolean;
  /**
   * True where you have begun a transaction on the handle, of which all that this adapter writes shall be a part: it is stored
   * when you commit, and never was when you roll back. Make such an adapter, and a manager over it, for each transaction, after
   * `initialize` of another has made the tables. Default: false, and a call that meets an open transaction is refused.
   */
  readonly transaction?: boolean;
}

/**
 * Keeps sessions in SQLite; a turn is one transaction. On a file of better-sqlite3 or `node:sqlite` it survives the end of the
 * process at once, and a loss of power as the handle's `synchronous` says; with sql.js, after `flush` where there is a file.
 */
export class SQLiteAdapter implements PersistenceAdapter {
  readonly name = "sqlite";
  /** `process` for a database in memory. */
  readonly durability: PersistenceAdapter["durability"];
  readonly provisional: boolean;
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns;
  readonly records: Records;
  /** Known once `initialize` has resolved. */
  search: Search | undefined;
  readonly #isSearched: boolean;
  readonly #db: Database;
  readonly #names: Names;
  readonly #keeper: FileKeeper | null;

  /**
   * @throws `INVALID_CONFIGURATION` for what is no handle, a name that SQLite would refuse, or a `file` without sql.js or with
   * `transaction`;
   * `STORAGE_FAILED` for a handle that is closed; `CAPABILITY_MISSING` for a `file` where there is no Node.
   */
  constructor({ db: handle, tables, file, search = false, transaction = false }: SQLiteAdapterOptions) {
    const names = namesOf(tables);
    const driver = driverOf(handle);
    const keeper = file === undefined ? null : keeperOf(handle, driver, file);
    if (transaction && keeper !== null)
      throw new ValidationError(
        "INVALID_CONFIGURATION",
        "new SQLiteAdapter: `transaction` is for a handle whose `file` another adapter keeps",
        { operation: "new SQLiteAdapter" },
      );
    const db = createDatabase(driver, {
      isOpen: keeper === null,
      isInside: transaction,
      written: () => keeper?.changed(),
    });
    const rows = createRows(db, names);
    const entries = createEntries(db, names);
    const kept = createKeptRecords(db, names);
    this.#isSearched = search;
    this.provisional = transaction;
    this.#db = db;
    this.#names = names;
    this.#keeper = keeper;
    this.durability = keeper !== null ? "flush" : isOnDisk(handle, driver) ? "commit" : "process";
    this.sessionRepository = createSessions(db, names, rows);
    this.messageRepository = createMessages(db, entries);
    this.turns = createTurns(db, rows, entries, kept);
    this.records = createRecords(db, names, kept);
  }

  /**
   * Makes the tables and indexes where they are missing, or brings them to this version. Any number of processes may call it
   * at once. With a `file`, takes it for this process. With `transaction`, it makes no tables.
   * @throws `STORAGE_FAILED` for tables that are not this adapter's and for settings by which a turn would not be atomic;
   * `STATE_TOO_NEW` for tables of a newer version; `STORAGE_LOCKED` for a `file` that another process has.
   */
  async initialize(): Promise<void> {
    await this.#keeper?.open();
    this.#db.open();
    const doing = { operation: "initialize" };
    if (!this.provisional) {
      await checkSettings(this.#db, this.durability);
      await createTables(this.#db, this.#names, doing);
    }
    if (this.#isSearched && (await canSearch(this.#db, doing))) {
      if (!this.provisional) await prepareSearch(this.#db, this.#names, doing);
      this.search = createSearch(this.#db, this.#names);
    }
    await this.#keeper?.flush();
  }

  /** Without a `file` there is nothing to wait for. */
  async flush(): Promise<void> {
    await this.#keeper?.flush();
  }

  /** With a `file`, writes what is left to it and gives it up; calls throw `CLOSED` then, until `initialize`. */
  async disconnect(): Promise<void> {
    if (this.#keeper === null) return;
    this.#db.close();
    await this.#keeper.close();
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    return describeDatabase(this.#db, this.#names);
  }
}

function keeperOf(db: SQLiteHandle, driver: Driver, file: string): FileKeeper {
  if (!isSqlJs(db) || typeof file !== "string" || file === "")
    throw new ValidationError(
      "INVALID_CONFIGURATION",
      "new SQLiteAdapter: `file` is the path for a database of sql.js; other handles name their file themselves",
      { operation: "new SQLiteAdapter" },
    );
  const begin = driver.prepare("BEGIN");
  const rollback = driver.prepare("ROLLBACK");
  return keepFile(db, file, {
    bytes() {
      try {
        // Only to see that the application has no transaction open, which a copy would tear.
        begin.run();
        rollback.run();
        return db.export();
      } catch (cause) {
        throw failure(cause, { operation: "flush" });
      }
    },
    changes() {
      try {
        return driver.all<{ changes: number }>("SELECT total_changes() AS changes")[0]?.changes ?? 0;
      } catch (cause) {
        throw failure(cause, { operation: "flush" });
      }
    },
  });
}
