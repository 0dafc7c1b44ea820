import {
  type MessageRepository,
  type PersistenceAdapter,
  type Records,
  type Search,
  type SessionRepository,
  type Turns,
  ValidationError,
} from "@waymark/core/adapter";
import { type PostgresClient, createDatabase, type Database } from "./client.js";
import { createMessages } from "./messages.js";
import { createRecords } from "./records.js";
import {
  type Initialize,
  type Names,
  type SearchIndex,
  type SearchOptions,
  checkInitialize,
  foundVersion,
  migrate,
  namesOf,
  schemaVersion,
  searchOf,
  verify,
} from "./schema.js";
import { createSearch } from "./search.js";
import { createRows, createSessions } from "./sessions.js";
import { createTurns } from "./turns.js";

export interface PostgreSQLAdapterOptions {
  /** A `Pool` or a connected `Client` of `pg`. It stays yours: the adapter never closes it. */
  readonly client: PostgresClient;
  /**
   * Names of the tables. Default: `agent_sessions`, `agent_messages` and `agent_records`; where only the sessions have
   * another name, the records' is that with `_records`.
   */
  readonly tables?: { readonly sessions?: string; readonly messages?: string; readonly records?: string };
  /** The schema of the tables; made by `initialize` where it is missing. Default: the first of the `search_path`. */
  readonly schema?: string;
  /** False for a pooler in transaction mode that does not keep prepared statements. Default: true. */
  readonly preparedStatements?: boolean;
  /**
   * What `initialize()` does, and so the first call of a manager: `migrate` makes the tables, or brings older ones to this
   * version; `verify` only looks whether they are there and of this version, for a role that may not create them; `none`
   * asks nothing. Default: `migrate`.
   */
  readonly initialize?: Initialize;
  /**
   * Whether `manager.search` works: `initialize` then adds a column with the words of each message, and its index, which each
   * later turn keeps right, whichever process saves it. Default: false, so that nobody who does not search pays for it.
   */
  readonly search?: boolean | SearchOptions;
  /**
   * True where `client` is a single client on which you have begun a transaction, of which all that this adapter writes shall be
   * a part: it is stored when you commit, and never was when you roll back. Make such an adapter, and a manager over it, for
   * each transaction; `initialize` asks nothing then. Default: false, and a call that meets an open transaction is refused.
   */
  readonly transaction?: boolean;
}

/** Keeps sessions in PostgreSQL; a turn is one statement. */
export class PostgreSQLAdapter implements PersistenceAdapter {
  readonly name = "postgres";
  readonly durability = "commit";
  readonly provisional: boolean;
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns;
  readonly records: Records;
  readonly search: Search | undefined;
  readonly #db: Database;
  readonly #names: Names;
  readonly #searchIndex: SearchIndex | null;
  readonly #initialize: Initialize;

  /**
   * @throws `INVALID_CONFIGURATION` for a name that PostgreSQL would cut off or refuse, an unknown `initialize`, a wrong `search`,
   * or a pool with `transaction`.
   */
  constructor({
    client,
    tables,
    schema,
    preparedStatements = true,
    initialize = "migrate",
    search = false,
    transaction = false,
  }: PostgreSQLAdapterOptions) {
    checkInitialize(initialize);
    const names = namesOf({ tables, schema });
    const db = createDatabase(client, { isPreparing: preparedStatements, isInside: transaction });
    const rows = createRows(db, names);
    const searchIndex = searchOf(names, search);
    if (transaction && "totalCount" in client)
      throw new ValidationError(
        "INVALID_CONFIGURATION",
        "new PostgreSQLAdapter: `transaction` is for a single client; of a pool, each call may have another",
        { operation: "new PostgreSQLAdapter" },
      );
    this.#db = db;
    this.#names = names;
    this.#searchIndex = searchIndex;
    this.provisional = transaction;
    this.#initialize = transaction ? "none" : initialize;
    this.sessionRepository = createSessions(db, names, rows);
    this.messageRepository = createMessages(db, names);
    this.turns = createTurns(db, names, rows, !transaction);
    this.records = createRecords(db, names);
    this.search = searchIndex === null ? undefined : createSearch(db, names, searchIndex);
  }

  /**
   * Makes the tables and indexes where they are missing or older, or does what the option `initialize` says instead. Any
   * number of processes may call it at once.
   * @throws `STORAGE_FAILED` for tables that are not this adapter's, for a role that may not create what is missing, and for
   * what `verify` does not find; `STATE_TOO_NEW` for tables of a newer version.
   */
  async initialize(): Promise<void> {
    if (this.#initialize === "migrate") await migrate(this.#db, this.#names, this.#searchIndex);
    if (this.#initialize === "verify") await verify(this.#db, this.#names, this.#searchIndex);
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    const text = "SELECT current_setting('server_version'), current_setting('transaction_read_only')";
    const [found] = await this.#db.run({ text }, [], { operation: "describe" });
    const version = await foundVersion(this.#db, this.#names, "describe");
    return {
      server: `PostgreSQL ${found?.[0] ?? ""}`.trim(),
      schemaVersion: version ?? 0,
      writable: found?.[1] === "off" && version === schemaVersion,
    };
  }
}
