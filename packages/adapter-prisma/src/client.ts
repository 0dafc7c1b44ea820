import {
  StorageError,
  type StorageCode,
  type WaymarkError,
  isWaymarkError,
  systemEnvironment,
} from "@waymark/core/adapter";

/** What is used of Prisma's client besides its models: the generated one fits, extended or not. */
export interface PrismaClientLike {
  /**
   * Its other form, which takes a list of calls, ends the transaction where it is called on the client of one. Such a client
   * of Prisma 6 has neither.
   */
  $transaction?(
    work: (client: PrismaClientLike) => Promise<unknown>,
    options?: { readonly maxWait?: number; readonly timeout?: number },
  ): PromiseLike<unknown>;
  $queryRawUnsafe(query: string): PromiseLike<unknown>;
}

/** What is used of a model of the client, such as `prisma.agentSession`. It is looked up by its name, and checked. */
export interface Model {
  readonly fields: object;
  create(args: object): PromiseLike<unknown>;
  createMany(args: object): PromiseLike<unknown>;
  deleteMany(args: object): PromiseLike<unknown>;
  findMany(args: object): PromiseLike<unknown>;
  findUnique(args: object): PromiseLike<unknown>;
  groupBy(args: object): PromiseLike<unknown>;
  update(args: object): PromiseLike<unknown>;
  updateMany(args: object): PromiseLike<unknown>;
}

const methods = [
  ...["create", "createMany", "deleteMany", "findMany", "findUnique", "groupBy"],
  ...["update", "updateMany"],
];

function isModel(value: unknown): value is Model {
  return isObject(value) && isObject(value["fields"]) && methods.every((name) => isFunction(value[name]));
}

/** The model of this name, as in the client (`agentSession`) or as in the schema (`AgentSession`). */
export function findModel(client: PrismaClientLike, name: string): Model | undefined {
  const names = [name, name.charAt(0).toLowerCase() + name.slice(1)];
  for (const each of names) {
    const found: unknown = Reflect.get(client, each);
    if (isModel(found)) return found;
  }
  return undefined;
}

/** Whether it is the client of a transaction of the application's own: such a client cannot connect, and no other lacks that. */
export function isInside(client: PrismaClientLike): boolean {
  return Reflect.get(client, "$connect") === undefined;
}

/** Prisma 6 keeps 16 digits of a number in a field of JSON. */
export function roundsNumbers(client: PrismaClientLike): boolean {
  return String(Reflect.get(client, "_clientVersion")).startsWith("6.");
}

/** The last part of each of the application's own transactions: none may begin within another. */
const parts = new WeakMap<PrismaClientLike, Promise<unknown>>();

/** A transaction, or a part of the application's own one that is undone alone. */
export function transaction(
  client: PrismaClientLike,
  work: (client: PrismaClientLike) => Promise<unknown>,
  options?: { readonly maxWait?: number; readonly timeout?: number },
): PromiseLike<unknown> {
  const { $transaction: begin } = client;
  if (!isInside(client) && begin !== undefined) return begin.call(client, work, options);
  // Prisma 7 does not find the transaction around when it is given options here.
  const beginPart = () => (begin === undefined ? fromSavepoint(client, work) : begin.call(client, work));
  const part = (parts.get(client) ?? Promise.resolve()).then(beginPart, beginPart);
  parts.set(client, part);
  return part;
}

/** What Prisma 7 does where a transaction begins within another. */
async function fromSavepoint(
  client: PrismaClientLike,
  work: (client: PrismaClientLike) => Promise<unknown>,
): Promise<unknown> {
  await client.$queryRawUnsafe("SAVEPOINT waymark");
  try {
    const result = await work(client);
    await client.$queryRawUnsafe("RELEASE SAVEPOINT waymark");
    return result;
  } catch (cause) {
    // Where the database has ended the transaction, there is nothing left to undo, and the cause says more.
    await Promise.resolve(client.$queryRawUnsafe("ROLLBACK TO SAVEPOINT waymark")).catch(() => {});
    throw cause;
  }
}

/** How long a call waits for the transactions before it, and how long it may take, in milliseconds. */
export const patience = { maxWait: 10_000, timeout: 10_000 };

/**
 * A client each of whose calls is a transaction of its own. On SQLite a driver has one connection: a call without one becomes
 * part of whichever transaction is open on it just then, also that of another request, and is undone with it after it was
 * acknowledged.
 */
export function apart(client: PrismaClientLike): PrismaClientLike {
  return new Proxy(client, {
    get(target, name): unknown {
      const found: unknown = Reflect.get(target, name);
      if (!isModel(found)) return found;
      return new Proxy(found, {
        get(model, call): unknown {
          if (!isFunction(Reflect.get(model, call))) return Reflect.get(model, call);
          return (...args: unknown[]) =>
            transaction(target, async (inside) => invoke(Reflect.get(inside, name), call, args), patience);
        },
      });
    },
  });
}

function invoke(model: unknown, call: string | symbol, args: readonly unknown[]): unknown {
  const found: unknown = isObject(model) ? Reflect.get(model, call) : undefined;
  if (typeof found !== "function") throw new TypeError(`the client of a transaction has no ${String(call)}`);
  return Reflect.apply(found, model, args);
}

/** One for each client, so that the parts of all adapters on a transaction know of each other. */
const proxies = new WeakMap<PrismaClientLike, PrismaClientLike>();

/**
 * The client of a transaction of the application's own, as it is to be used: what a lock or a lost connection stops there is
 * not tried again. MySQL has then undone all of the transaction, and another try would be stored without the rest of it.
 */
export function asGiven(client: PrismaClientLike): PrismaClientLike {
  if (!isInside(client)) return client;
  const known = proxies.get(client);
  if (known !== undefined) return known;
  const made = new Proxy(client, {
    get(target, name): unknown {
      const found: unknown = Reflect.get(target, name);
      if (isModel(found)) return new Proxy(found, { get: (model, call) => triedOnce(model, call) });
      return triedOnce(target, name);
    },
  });
  proxies.set(client, made);
  return made;
}

/** A call that stopped where it could be made again, if it were alone. */
class Stopped extends Error {}

function triedOnce(of: object, name: string | symbol): unknown {
  const found: unknown = Reflect.get(of, name);
  if (typeof found !== "function") return found;
  return async (...args: unknown[]): Promise<unknown> => {
    try {
      return await Reflect.apply(found, of, args);
    } catch (cause) {
      if (cause instanceof Error && failure(cause, { operation: "" }).retryable)
        throw new Stopped("", { cause });
      throw cause;
    }
  };
}

/** What was being done, for the error. */
export interface Doing {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** What the data refused: `taken` is a key that is there already, `moved` a row that is not as it was, `orphan` one without its parent. */
export interface Refusal {
  readonly kind: "taken" | "moved" | "orphan";
  /** For whom it is no answer. */
  readonly error: WaymarkError;
}

const refusals: ReadonlyMap<string, Refusal["kind"]> = new Map([
  ["P2002", "taken"], // unique constraint
  ["P2025", "moved"], // record not found
  ["P2003", "orphan"], // foreign key constraint
]);

/** Awaits a call of the client. Its errors become ours. */
export async function run(doing: Doing, call: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    return await unlocked(call);
  } catch (cause) {
    throw failure(cause, doing);
  }
}

/** Awaits a write that the data may refuse, which can be an answer; null: it is done. */
export async function write(doing: Doing, call: () => PromiseLike<unknown>): Promise<Refusal | null> {
  try {
    await unlocked(call);
    return null;
  } catch (cause) {
    const kind = refusals.get(codeOf(cause));
    const error = failure(cause, doing);
    if (kind === undefined) throw error;
    return { kind, error };
  }
}

/** Tries of a call that a lock or a deadlock stopped, with pauses of some milliseconds between: in all about half a second. */
const tries = 12;

/** A call that a lock stopped has done nothing, so it is made again: where others only pass, it succeeds. */
async function unlocked(call: () => PromiseLike<unknown>): Promise<unknown> {
  for (let retry = 1; retry < tries; retry++) {
    try {
      return await call();
    } catch (cause) {
      const [code] = explain(codeOf(cause), nativeCodeOf(cause), cause);
      if (code !== "STORAGE_LOCKED") throw cause;
      await systemEnvironment.pause(retry);
    }
  }
  return call();
}

/** The `count` of a write of many. */
export function countOf(result: unknown, { operation, sessionId }: Doing): number {
  if (isObject(result) && typeof result["count"] === "number") return result["count"];
  throw new StorageError("STORAGE_FAILED", `${operation}: the client did not say how many rows it wrote`, {
    operation,
    sessionId,
  });
}

/** Turns an error of Prisma into ours. Messages name codes and nothing that Prisma quotes: it quotes what people said. */
function failure(cause: unknown, { operation, sessionId }: Doing): WaymarkError {
  if (isWaymarkError(cause)) return cause;
  if (cause instanceof Stopped) {
    const stopped = failure(cause.cause, { operation, sessionId });
    const message = `${stopped.message}; your transaction has to be made again as a whole`;
    return new StorageError(stopped.code, message, {
      operation,
      sessionId,
      cause: cause.cause,
      retryable: false,
    });
  }
  const code = codeOf(cause);
  const native = nativeCodeOf(cause);
  const [ours, says] = explain(code, native, cause);
  const codes = [code, native].filter((each) => each !== "").join(", ");
  return new StorageError(ours, `${operation}: ${says}${codes === "" ? "" : ` [${codes}]`}`, {
    operation,
    sessionId,
    cause,
  });
}

/** Prisma's own code; an error before the first connection has it under another name, and a wrong call has none. */
export function codeOf(cause: unknown): string {
  if (!isObject(cause)) return "";
  for (const code of [cause["code"], cause["errorCode"], cause["name"]])
    if (typeof code === "string" && /^P\d{4}$|^PrismaClientValidationError$/.test(code)) return code;
  return "";
}

/** What the driver adapter says of an error: its kind, and the database's own code. */
function driverErrorOf(cause: unknown): Record<string, unknown> {
  // Prisma 6 knows few of SQLite's codes, and passes the others on in the place of its own.
  const code = isObject(cause) ? cause["code"] : undefined;
  if (typeof code === "string" && code.startsWith("SQLITE_")) return { kind: "sqlite", originalCode: code };
  const meta = isObject(cause) && isObject(cause["meta"]) ? cause["meta"]["driverAdapterError"] : cause;
  return isObject(meta) && isObject(meta["cause"]) ? meta["cause"] : {};
}

function nativeCodeOf(cause: unknown): string {
  const code = driverErrorOf(cause)["originalCode"];
  return typeof code === "string" || typeof code === "number" ? String(code) : "";
}

/** Whether the database itself has answered that it does not take the text of a statement. */
export function isRefusedText(cause: unknown): boolean {
  const { kind } = driverErrorOf(cause);
  const isAnswer = kind === "postgres" || kind === "mysql" || kind === "sqlite";
  // A server that is shutting down, or has no room, answers too.
  return isAnswer && explain("", nativeCodeOf(cause), cause)[0] === "STORAGE_FAILED";
}

/** What drivers say, without a code, of a client that the application has closed, and of a connection that is lost. */
const closedClient = /after calling end|pool is (closed|ended)|connection is not open/i;
const lostConnection = /connection|terminated|not queryable|can't reach|timed? ?out|ECONN|EPIPE/i;

const unavailable: [StorageCode, string] = [
  "STORAGE_UNAVAILABLE",
  "the connection to the database was lost or could not be made",
];
const failed: [StorageCode, string] = ["STORAGE_FAILED", "Prisma or its database refused the call"];

const locked: [StorageCode, string] = [
  "STORAGE_LOCKED",
  "another transaction held the row or the file; nothing was written",
];

function explain(code: string, native: string, cause: unknown): [StorageCode, string] {
  // SQLite's busy file is a time-out for Prisma, as a lost answer is; only this one is known to have done nothing.
  if (native.startsWith("SQLITE_BUSY") || native.startsWith("SQLITE_LOCKED")) return locked;
  switch (code) {
    case "P1001": // can't reach the server
    case "P1002": // the server timed out
    case "P1017": // the server closed the connection
      return unavailable;
    case "P1008": // operation timed out
    case "P2024": // no connection of the pool in time
    case "P2028": // no transaction in time, or it took too long and was undone
    case "P2037": // too many connections
      return ["STORAGE_UNAVAILABLE", "the database had no time or connection for this"];
    case "P2034": // write conflict or deadlock
      return locked;
    case "P1000": // authentication failed
    case "P1003": // no such database
    case "P1010": // access denied
      return ["STORAGE_FAILED", "the database refused the login; check user, password and database"];
    case "P2021": // no such table
    case "P2022": // no such column
      return ["STORAGE_FAILED", "the tables are not those of the schema; migrate the database"];
    case "P2000": // value too long for the column
      return ["STORAGE_FAILED", "a column is too narrow; compare the models with the fragment"];
    case "P2002": // unique constraint
      return ["STORAGE_FAILED", "a unique constraint of the models does not allow it"];
    case "P2003": // foreign key constraint
      return ["STORAGE_FAILED", "a foreign key of the models does not allow it"];
    case "PrismaClientValidationError":
      return ["STORAGE_FAILED", "the models do not fit; `initialize()` says what is missing"];
    default:
      return explainNative(native, cause);
  }
}

function explainNative(native: string, cause: unknown): [StorageCode, string] {
  switch (native) {
    case "53100": // PostgreSQL: disk_full
    case "SQLITE_FULL":
    case "1021": // MySQL: disk full
    case "1114": // MySQL: table full
      return ["STORAGE_FULL", "the database has no room left; what was stored before is intact"];
    case "40001": // PostgreSQL: serialization_failure
    case "40P01": // PostgreSQL: deadlock_detected
    case "55P03": // PostgreSQL: lock_not_available
    case "1205": // MySQL: lock wait timeout
    case "1213": // MySQL: deadlock
    case "1020": // MariaDB: the row has changed since the transaction's snapshot
      return locked;
    case "57014": // PostgreSQL: query_canceled
    case "57P01": // PostgreSQL: admin_shutdown
    case "57P02": // PostgreSQL: crash_shutdown
    case "57P03": // PostgreSQL: cannot_connect_now
    case "53300": // PostgreSQL: too_many_connections
    case "1040": // MySQL: too many connections
    case "1053": // MySQL: server shutdown
    case "1927": // MariaDB: connection killed
    case "3024": // MySQL: the statement took too long
    case "1969": // MariaDB: the statement took too long
      return unavailable;
    case "25006": // PostgreSQL: read_only_sql_transaction
    case "SQLITE_READONLY":
    case "1290": // MySQL: the server runs with --read-only
    case "1792": // MySQL: the transaction only reads
    case "1836": // MySQL: read-only mode
      return ["STORAGE_FAILED", "this database only reads; connect to the primary"];
    default:
      if (closedClient.test(messageOf(cause)))
        return ["STORAGE_FAILED", "the application has closed the client"];
      return native.startsWith("08") || lostConnection.test(messageOf(cause)) ? unavailable : failed;
  }
}

/** The last line, where Prisma says what happened; before it, it may quote the call. */
function messageOf(cause: unknown): string {
  return isObject(cause) && typeof cause["message"] === "string"
    ? (cause["message"].split("\n").at(-1) ?? "")
    : "";
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}
