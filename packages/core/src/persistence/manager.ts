// Users may compile against a library that does not know `Symbol.asyncDispose` yet.
/// <reference lib="esnext.disposable" preserve="true" />
import type { PersistenceAdapter } from "../contract/adapter.js";
import { checkId } from "../contract/id.js";
import type { Message, StoredMessage } from "../contract/message.js";
import type { SessionRow, Status } from "../contract/row.js";
import { ValidationError, WaymarkError } from "../errors.js";
import { checkFormat } from "../state/envelope.js";
import { type SchemaVersions, schemaVersions } from "../state/migrate.js";
import { validateState } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { systemEnvironment } from "../turn/environment.js";
import { createOwnVersions } from "../turn/own.js";
import { entryBytes, tooLarge } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { createTurnStore } from "../turn/store.js";
import { type Range, firstOf, lastOf, visibleRanges } from "../turn/visible.js";
import { type Connection, connect } from "./connection.js";
import { decodeMessage, encodeMessages } from "./messages.js";
import type { ManagerOptions, SavedTurn, TurnInput, WriteOptions } from "./options.js";
import { prepareTurn, saveTurn } from "./save.js";
import { type Saving, baseOfRow, sessionOf } from "./saving.js";

/** Which messages to read. */
export interface MessageQuery {
  /** 1 to 1,000. Default: 100. */
  readonly limit?: number | undefined;
  /** Only messages with a smaller sequence. */
  readonly before?: number | undefined;
  /** Only messages with a larger sequence; with it a page holds the first of them, otherwise the last. */
  readonly after?: number | undefined;
  /** Order of the result by sequence. Default: `asc`. */
  readonly order?: "asc" | "desc" | undefined;
  readonly userId?: string | undefined;
}

/** A message for a session that exists. */
export interface MessageInput extends Message, WriteOptions {
  readonly sessionId: string;
}

const defaultLimit = 100;
const defaultDeadlineMs = 10_000;

/**
 * Keeps sessions on an adapter. Every call says of which session it speaks: a manager has no current session, so that any
 * number of requests may use one at once.
 *
 * Every failure is a `WaymarkError` with a stable `code`; see the table of codes.
 */
export class PersistenceManager<TData = Record<string, unknown>> {
  /** Whether the agent saves every turn by itself. */
  readonly autoSave: boolean;
  readonly #options: ManagerOptions<TData>;
  readonly #versions: SchemaVersions;
  readonly #connection: Connection;
  #saving: Promise<Saving<TData>> | null = null;
  readonly #reading = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: ManagerOptions<TData>) {
    checkAdapter(options.adapter);
    if (options.userId !== undefined) checkId(options.userId, "new PersistenceManager", "user id");
    const { schemaVersion, migrations } = options;
    this.#versions = schemaVersions(schemaVersion, migrations, "new PersistenceManager");
    this.autoSave = options.autoSave ?? true;
    this.#options = options;
    this.#connection = connect(options.adapter);
  }

  /**
   * Stores a state by itself, without messages. The first save creates the session; later ones need the version that the
   * state was read with, which every load and save writes into the object.
   * @param id must be the state's own id; a state without one gets it.
   */
  async saveSessionState(
    id: string,
    session: SessionState<TData>,
    options: Omit<TurnInput<TData>, "session" | "messages"> = {},
  ): Promise<SessionState<TData>> {
    checkId(id, "saveSessionState");
    if (session.id !== undefined && session.id !== id) {
      throw new ValidationError(
        "INVALID_ARGUMENT",
        "saveSessionState: the state belongs to another session id",
        {
          operation: "saveSessionState",
          sessionId: id,
        },
      );
    }
    session.id = id;
    const turn = prepareTurn({ ...options, session }, this.#context(), "saveSessionState");
    await saveTurn(await this.#ready("saveSessionState"), turn);
    return session;
  }

  /**
   * Stores one exchange: the state, if it changed, and its messages, all or none. Writes the new version into
   * `input.session`. A retry with the same `operationId` is harmless.
   */
  async saveTurn(input: TurnInput<TData>): Promise<SavedTurn> {
    const turn = prepareTurn(input, this.#context(), "saveTurn");
    return saveTurn(await this.#ready("saveTurn"), turn);
  }

  /**
   * The stored state, or null where there is certainly none. One of an older schema version is migrated; the store has it
   * until the next save. What is refused stays as it is.
   * @throws `INVALID_STATE` where it does not match the schema, `MIGRATION_FAILED`, `STATE_TOO_NEW`
   */
  async loadSessionState(
    id: string,
    options: { userId?: string | undefined } = {},
  ): Promise<SessionState<TData> | null> {
    const opened = await this.#track(this.#open(id, { ...options, last: 0 }, "loadSessionState"));
    return opened?.session ?? null;
  }

  /** State and last messages in one call. @param options.last how many, 0 to 1,000; default 100. */
  async open(
    id: string,
    options: { last?: number | undefined; userId?: string | undefined } = {},
  ): Promise<{ session: SessionState<TData>; messages: StoredMessage[] } | null> {
    return this.#track(this.#open(id, options, "open"));
  }

  /** The last messages, oldest first, as an agent takes them for `history`. @param options.limit 1 to 1,000; default 100. */
  async loadSessionHistory(
    id: string,
    options: { limit?: number | undefined; userId?: string | undefined } = {},
  ): Promise<StoredMessage[]> {
    return this.#track(this.#read(id, options, "loadSessionHistory"));
  }

  /** A page of messages; none for a session that does not exist. */
  async findMessagesBySessionId(id: string, query: MessageQuery = {}): Promise<StoredMessage[]> {
    return this.#track(this.#read(id, query, "findMessagesBySessionId"));
  }

  /**
   * Adds a message to a session that exists. Calls that are made at the same time keep their order and travel together.
   * The state's version does not move. @throws `SESSION_NOT_FOUND`
   */
  async saveMessage(input: MessageInput): Promise<StoredMessage> {
    const operation = "saveMessage";
    const { sessionId, userId, reopen, signal, ...message } = input;
    checkId(sessionId, operation);
    const { now, userId: manager } = this.#context();
    const owner = userId ?? manager;
    if (owner !== undefined) checkId(owner, operation, "user id");
    const [entry] = encodeMessages([message], { operation, sessionId, userId: owner ?? null, now });
    if (entry === undefined) throw new TypeError("a message gives an entry");
    const saving = await this.#ready(operation);
    const bytes = entryBytes(entry, saving.commitBytes);
    if (bytes > saving.commitBytes) throw tooLarge(sessionId, bytes, saving.commitBytes);
    const outcome = await saving.store.append({
      id: sessionId,
      ...(owner === undefined ? {} : { owner }),
      ...(reopen === undefined ? {} : { reopen }),
      messages: [entry],
      bytes,
      patience: { deadline: now + saving.deadlineMs, signal },
    });
    if (!isStored(outcome)) throw refusalError(outcome, operation, sessionId);
    const { life } = outcome;
    return decodeMessage(
      { ...entry, sessionId, log: life, sequence: outcome.first },
      { operation, sessionId },
    );
  }

  /**
   * Completes, abandons or reactivates a session. The version does not move.
   * @param at when it was completed; default: now. @returns whether the session was there.
   */
  async updateSessionStatus(
    id: string,
    status: Exclude<Status, "deleting">,
    at?: Date,
    options: { userId?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    const operation = "updateSessionStatus";
    checkId(id, operation);
    if (status !== "active" && status !== "completed" && status !== "abandoned") {
      throw new ValidationError(
        "INVALID_ARGUMENT",
        `${operation}: \`status\` must be active, completed or abandoned`,
        {
          operation,
          sessionId: id,
        },
      );
    }
    if (at !== undefined && !(at instanceof Date && !Number.isNaN(at.getTime()))) {
      throw new ValidationError("INVALID_ARGUMENT", `${operation}: \`at\` must be a valid Date`, {
        operation,
        sessionId: id,
      });
    }
    const { store, environment, deadlineMs, userId } = await this.#ready(operation);
    const now = environment.now();
    const owner = options.userId ?? userId;
    if (owner !== undefined) checkId(owner, operation, "user id");
    const outcome = await store.inOrder(id, (commit) =>
      commit(
        {
          id,
          expect: { kind: "append" },
          operation: { id: environment.newId(), digest: status },
          revision: environment.newId(),
          at: now,
          ...(owner === undefined ? {} : { owner }),
          reopen: true,
          set: { status, completedAt: status === "completed" ? (at?.getTime() ?? now) : null },
          messages: [],
          history: [],
        },
        { deadline: now + deadlineMs, signal: options.signal },
      ),
    );
    if (isStored(outcome)) return true;
    if (outcome.status === "absent") return false;
    throw refusalError(outcome, operation, id);
  }

  /** Removes a session with all its messages. @returns whether it was there. */
  async deleteSession(
    id: string,
    options: { userId?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    checkId(id, "deleteSession");
    const { store, environment, deadlineMs, userId } = await this.#ready("deleteSession");
    const owner = options.userId ?? userId;
    if (owner !== undefined) checkId(owner, "deleteSession", "user id");
    return store.delete(id, owner, { deadline: environment.now() + deadlineMs, signal: options.signal });
  }

  /** Resolves when all that was saved through this manager is where it belongs, and as durable as the store makes it. */
  async flush(): Promise<void> {
    if (this.#saving === null) return;
    const { store } = await this.#saving;
    await store.flush();
    await this.#options.adapter.flush?.();
  }

  /** Flushes and lets go of the adapter. Later calls throw `CLOSED`; a second close does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.flush();
      await Promise.allSettled(this.#reading);
    } finally {
      await this.#connection.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** `close` waits for it before it lets go of the adapter. */
  async #track<T>(work: Promise<T>): Promise<T> {
    this.#reading.add(work);
    try {
      return await work;
    } finally {
      this.#reading.delete(work);
    }
  }

  async #open(
    id: string,
    options: { last?: number | undefined; userId?: string | undefined },
    operation: string,
  ): Promise<{ session: SessionState<TData>; messages: StoredMessage[] } | null> {
    checkId(id, operation);
    const last = options.last ?? defaultLimit;
    checkCount(last, 0, operation, "last");
    const saving = await this.#ready(operation);
    const loaded = await saving.store.load(id, last);
    if (loaded === null || !isOwn(loaded.row, options.userId ?? saving.userId, operation)) return null;
    const { row, entries } = loaded;
    const base = baseOfRow(row, saving.versions, operation);
    const session = sessionOf<TData>(row, base);
    if (saving.schema !== undefined) {
      await validateState(saving.schema, session, { operation, sessionId: id });
    }
    saving.known.set(session, base);
    return { session, messages: entries.map((entry) => decodeMessage(entry, { operation, sessionId: id })) };
  }

  async #read(id: string, query: MessageQuery, operation: string): Promise<StoredMessage[]> {
    checkId(id, operation);
    const { limit = defaultLimit, before = Infinity, after, order = "asc" } = query;
    checkCount(limit, 1, operation, "limit");
    checkSequence(query.before, operation, "before");
    checkSequence(after, operation, "after");
    const { store, userId } = await this.#ready(operation);
    const owner = query.userId ?? userId;
    const choose = (row: SessionRow): readonly Range[] => {
      if (!isOwn(row, owner, operation)) return [];
      const ranges = lastOf(visibleRanges(row), Infinity, before - 1);
      return after === undefined ? lastOf(ranges, limit) : firstOf(ranges, limit, after + 1);
    };
    const isTail = before === Infinity && after === undefined;
    const found = isTail ? await store.load(id, limit) : await store.read(id, choose);
    if (found === null || !isOwn(found.row, owner, operation)) return [];
    checkFormat(found.row.state, { operation, sessionId: id });
    const messages = found.entries.map((entry) => decodeMessage(entry, { operation, sessionId: id }));
    return order === "desc" ? messages.toReversed() : messages;
  }

  #context(): { readonly userId: string | undefined; readonly now: number } {
    const { userId, environment = systemEnvironment } = this.#options;
    return { userId, now: environment.now() };
  }

  async #ready(operation: string): Promise<Saving<TData>> {
    if (this.#isClosed) {
      throw new WaymarkError("CLOSED", `${operation}: the persistence manager was closed`, { operation });
    }
    this.#saving ??= this.#start().catch((error: unknown) => {
      this.#saving = null;
      throw error;
    });
    return this.#saving;
  }

  async #start(): Promise<Saving<TData>> {
    await this.#connection.ready();
    const { adapter, conflict, deadlineMs, schema, userId, agentName, waitUntil } = this.#options;
    const environment = this.#options.environment ?? systemEnvironment;
    return {
      store: createTurnStore(adapter, waitUntil === undefined ? environment : { ...environment, waitUntil }),
      environment,
      commitBytes: adapter.limits.commitBytes,
      deadlineMs: deadlineMs ?? defaultDeadlineMs,
      conflict: conflict ?? "rebase",
      schema,
      versions: this.#versions,
      userId,
      agentName,
      known: new WeakMap(),
      tried: new WeakMap(),
      own: createOwnVersions(),
    };
  }
}

function checkAdapter(adapter: PersistenceAdapter): void {
  if (typeof adapter?.sessionRepository?.findById === "function" && adapter.messageRepository !== undefined)
    return;
  throw new ValidationError(
    "INVALID_CONFIGURATION",
    "`persistence.adapter` must be an adapter: an object with `sessionRepository` and `messageRepository`",
    { operation: "new PersistenceManager" },
  );
}

function checkCount(value: number, least: number, operation: string, name: string): void {
  if (Number.isInteger(value) && value >= least && value <= 1000) return;
  throw new ValidationError(
    "INVALID_ARGUMENT",
    `${operation}: \`${name}\` must be an integer from ${least} to 1000`,
    {
      operation,
    },
  );
}

function checkSequence(value: number | undefined, operation: string, name: string): void {
  if (value === undefined || Number.isSafeInteger(value)) return;
  throw new ValidationError(
    "INVALID_ARGUMENT",
    `${operation}: \`${name}\` must be a sequence, a whole number`,
    {
      operation,
    },
  );
}

function isOwn(row: SessionRow, userId: string | undefined, operation: string): boolean {
  if (userId === undefined) return true;
  checkId(userId, operation, "user id");
  return row.userId === null || row.userId === userId;
}
