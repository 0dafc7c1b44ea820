import { ValidationError } from "@waymark/core/adapter";

/** What is used of a `Database` of better-sqlite3 11 or newer. */
export interface BetterSqlite3Database {
  prepare(text: string): BetterSqlite3Statement;
  pragma(text: string): unknown;
}

interface BetterSqlite3Statement {
  run(...values: unknown[]): { changes: number };
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
  safeIntegers(isOn: boolean): unknown;
}

/** What is used of a `DatabaseSync` of `node:sqlite`. */
export interface NodeSqliteDatabase {
  prepare(text: string): NodeSqliteStatement;
  location?(): string | null;
}

interface NodeSqliteStatement {
  run(...values: Value[]): { changes: number | bigint };
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
  setReadBigInts(isOn: boolean): void;
}

/** What is used of a `Database` of sql.js. */
export interface SqlJsDatabase {
  exec(text: string): unknown;
  prepare(text: string): SqlJsStatement;
  getRowsModified(): number;
  export(): Uint8Array;
}

interface SqlJsStatement {
  bind(values: Value[]): boolean;
  step(): boolean;
  getAsObject(): Record<string, unknown>;
  reset(): void;
  free(): boolean;
}

/** A database that the application has opened, with one of the three. */
export type SQLiteHandle = BetterSqlite3Database | NodeSqliteDatabase | SqlJsDatabase;

/** A value of a parameter. */
export type Value = string | number | null;

/** A statement that was prepared once and is run often. `Row` is what its text selects, by the names of the columns. */
export interface Statement<Row> {
  /** Resolves to how many rows it changed. */
  run(...values: Value[]): number;
  get(...values: Value[]): Row | undefined;
  all(...values: Value[]): Row[];
}

/** The three drivers as one. */
export interface Driver {
  readonly name: "better-sqlite3" | "node:sqlite" | "sql.js";
  /** A list for `SELECT`: `texts` names the columns in which a text may begin with any character. */
  select(columns: readonly string[], texts: ReadonlySet<string>): string;
  /** Nothing is sent before the statement first runs. */
  prepare<Row = never>(text: string): Statement<Row>;
  /** Runs a statement that is needed rarely. */
  all<Row>(text: string, ...values: Value[]): Row[];
}

/** Tells the handle by what it can do. @throws `INVALID_CONFIGURATION` */
export function driverOf(db: SQLiteHandle): Driver {
  if (isSqlJs(db)) return sqlJsDriver(db);
  if (typeof db !== "object" || db === null || typeof db.prepare !== "function")
    throw new ValidationError(
      "INVALID_CONFIGURATION",
      "new SQLiteAdapter: `db` must be a database opened with sql.js, better-sqlite3 or node:sqlite",
      { operation: "new SQLiteAdapter" },
    );
  return "pragma" in db ? betterSqlite3Driver(db) : nodeSqliteDriver(db);
}

export function isSqlJs(db: SQLiteHandle): db is SqlJsDatabase {
  return typeof db === "object" && db !== null && "getRowsModified" in db && "export" in db;
}

// Applications may have numbers read as bigint by default: columns of these tables are read as what they are.

function betterSqlite3Driver(db: BetterSqlite3Database): Driver {
  return nativeDriver("better-sqlite3", (text) => {
    const statement = db.prepare(text);
    statement.safeIntegers(false);
    return statement;
  });
}

function nodeSqliteDriver(db: NodeSqliteDatabase): Driver {
  return nativeDriver("node:sqlite", (text) => {
    const statement = db.prepare(text);
    statement.setReadBigInts(false);
    return statement;
  });
}

interface NativeStatement {
  run(...values: Value[]): { changes: number | bigint };
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
}

function nativeDriver(name: Driver["name"], prepare: (text: string) => NativeStatement): Driver {
  return {
    name,
    select: (columns) => columns.join(", "),
    prepare<Row>(text: string): Statement<Row> {
      let statement: NativeStatement | undefined;
      return {
        run: (...values) => Number((statement ??= prepare(text)).run(...values).changes),
        get: (...values) => (statement ??= prepare(text)).get(...values) as Row | undefined,
        // A driver may make its arrays in another realm, as under a test runner: what is given on has to be of this one.
        all: (...values) => [...(statement ??= prepare(text)).all(...values)] as Row[],
      };
    },
    all: <Row>(text: string, ...values: Value[]) => [...prepare(text).all(...values)] as Row[],
  };
}

/** Ends the name of a column whose texts have a character before them. */
const marked = ".";

/** Without what `select` has put there. */
function unmarked(found: Record<string, unknown>): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(found)) {
    if (name.endsWith(marked)) row[name.slice(0, -1)] = typeof value === "string" ? value.slice(1) : value;
    else row[name] = value;
  }
  return row;
}

function sqlJsDriver(db: SqlJsDatabase): Driver {
  function open(text: string): SqlJsStatement {
    // Of a database that is closed, `prepare` says that there is no memory left. This says that it is closed.
    db.exec("");
    return db.prepare(text);
  }

  function readAll<Row>(statement: SqlJsStatement, values: Value[]): Row[] {
    const rows: Row[] = [];
    try {
      statement.bind(values);
      while (statement.step()) rows.push(unmarked(statement.getAsObject()) as Row);
      return rows;
    } finally {
      // What is left open would keep a transaction from its end.
      statement.reset();
    }
  }

  return {
    name: "sql.js",
    // It drops a byte order mark that begins a text: so another character has to begin it.
    select: (columns, texts) =>
      columns.map((name) => (texts.has(name) ? `'.' || ${name} AS "${name}${marked}"` : name)).join(", "),
    prepare<Row>(text: string): Statement<Row> {
      let statement: SqlJsStatement | undefined;
      const all = (...values: Value[]): Row[] => {
        try {
          return readAll((statement ??= open(text)), values);
        } catch (error) {
          if (!isClosedStatement(error)) throw error;
          // An export of older versions closes every statement. Nothing was run.
          statement = open(text);
          return readAll(statement, values);
        }
      };
      return {
        run: (...values) => {
          all(...values);
          return db.getRowsModified();
        },
        get: (...values) => all(...values)[0],
        all,
      };
    },
    all<Row>(text: string, ...values: Value[]): Row[] {
      const statement = open(text);
      try {
        return readAll(statement, values);
      } finally {
        statement.free();
      }
    },
  };
}

function isClosedStatement(error: unknown): boolean {
  return error === "Statement closed";
}
