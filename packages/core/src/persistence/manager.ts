// Users may compile against a library that does not know `Symbol.asyncDispose` yet.
/// <reference lib="esnext.disposable" preserve="true" />
import type { PersistenceAdapter } from "../contract/adapter.js";
import { checkId, longestId } from "../contract/id.js";
import type { Message, StoredMessage } from "../contract/message.js";
import type { SessionStatus } from "../contract/row.js";
import { ValidationError, WaymarkError } from "../errors.js";
import { type SchemaVersions, schemaVersions } from "../state/migrate.js";
import type { SessionState } from "../state/session.js";
import { type Connection, connect } from "../turn/connection.js";
import { systemEnvironment } from "../turn/environment.js";
import { createOwnVersions } from "../turn/own.js";
import { createTurnStore } from "../turn/store.js";
import { appendMessages, prepareMessages } from "./append.js";
import { checkMilliseconds, invalid } from "./check.js";
import { type Around, createAround } from "./around.js";
import { type Health, checkHealth } from "./health.js";
import type { SessionExport } from "./export-format.js";
import { createHookRunner } from "./hook-runner.js";
import { checkHooks, consequenceOf } from "./hooks.js";
import { type MessageList, type MessageQuery, readMessages } from "./history.js";
import { type SessionInspection, inspect } from "./inspect.js";
import { copyOf, removeSession, trimMessages, updateCollected, updateStatus } from "./lifecycle.js";
import type { List } from "./list.js";
import { type Opened, openSession } from "./open.js";
import {
  type ManagerOptions,
  type SavedTurn,
  type TurnInput,
  type WriteOptions,
  defaultDeadlineMs,
} from "./options.js";
import { type SessionInfo, type SessionQuery, findActive, findByUser, findSession } from "./queries.js";
import type { RecordOwner } from "./record-reads.js";
import { type RecordStore, createRecordStore } from "./records.js";
import {
  type EraseReport,
  type PruneOptions,
  type PruneReport,
  eraseSessions,
  pruneSessions,
} from "./retention.js";
import { prepareTurn, saveTurn } from "./save.js";
import type { ManagerCall, Saving } from "./saving.js";
import { createProvisionalVersions, storedVersions } from "./provisional.js";
import { type FoundMessage, type MessageSearch, prepareSearch, searchMessages } from "./search.js";
import { exportSession, importSession } from "./transfer.js";
import { type Watch, createWatch } from "./watch.js";

/** A message for a session that exists. */
export interface MessageInput extends Message, WriteOptions {
  readonly sessionId: string;
}

/**
 * Keeps sessions on an adapter. Every call says of which session it speaks: a manager has no current session, so that any
 * number of requests may use one at once.
 *
 * Every failure is a `WaymarkError` with a stable `code`; see the table of codes.
 */
export class PersistenceManager<TData = Record<string, unknown>> {
  /** Whether the agent saves every turn by itself. */
  readonly autoSave: boolean;
  /** How long a session lives after a write, as the options say. */
  readonly expireAfterMs: number | undefined;
  readonly #options: ManagerOptions<TData>;
  readonly #versions: SchemaVersions;
  readonly #connection: Connection;
  #saving: Promise<Saving<TData>> | null = null;
  readonly #calls = new Set<Promise<unknown>>();
  readonly #around: Around<TData>;
  readonly #watch: Watch | undefined;
  #lastTicket = 0;
  #isClosed = false;

  constructor(options: ManagerOptions<TData>) {
    checkAdapter(options.adapter);
    if (options.userId !== undefined) checkId(options.userId, "new PersistenceManager", "user id");
    const { schemaVersion, migrations } = options;
    this.#versions = schemaVersions(schemaVersion, migrations, "new PersistenceManager");
    this.autoSave = options.autoSave ?? true;
    this.expireAfterMs = options.expireAfterMs;
    this.#options = options;
    const { hooks = {}, slowMs, deadlineMs = defaultDeadlineMs, environment = systemEnvironment } = options;
    checkHooks(hooks);
    if (options.expireAfterMs !== undefined)
      checkMilliseconds(options.expireAfterMs, "new PersistenceManager", "expireAfterMs");
    this.#around = createAround(
      hooks,
      createHookRunner(deadlineMs, () => this.#lastTicket, consequenceOf),
    );
    this.#watch = createWatch(hooks, slowMs, environment);
    this.#connection = connect(options.adapter);
  }

  /**
   * Stores a state by itself, without messages. The first save creates the session; later ones need the version that the
   * state was read with, which every load and save writes into the object.
   * @param id must be the state's own id; a state without one gets it.
   */
  saveSessionState(
    id: string,
    session: SessionState<TData>,
    options: Omit<TurnInput<TData>, "session" | "messages" | "records"> = {},
  ): Promise<SessionState<TData>> {
    return this.#call("saveSessionState", id, async ({ ready, operation, ticket }) => {
      checkId(id, operation);
      if (session.id !== undefined && session.id !== id)
        throw invalid(operation, "the state belongs to another session id", id);
      session.id = id;
      const turn = prepareTurn({ ...options, session }, this.#context(ticket), operation);
      const event = { session, messages: [] };
      await this.#around.save({ operation, sessionId: id, ticket }, event, async () =>
        saveTurn(await ready(), turn),
      );
      return session;
    });
  }

  /**
   * Stores one exchange: the state, if it changed, and its messages, all or none. Writes the new version into
   * `input.session`. A retry with the same `operationId` is harmless.
   */
  saveTurn(input: TurnInput<TData>): Promise<SavedTurn> {
    return this.#call("saveTurn", input?.session?.id, async ({ ready, operation, ticket }) => {
      const turn = prepareTurn(input, this.#context(ticket), operation);
      const { session, messages = [], records } = input;
      const event = records === undefined ? { session, messages } : { session, messages, records };
      const save = async () => await saveTurn(await ready(), turn);
      return await this.#around.save({ operation, sessionId: turn.id, ticket }, event, save);
    });
  }

  /**
   * The stored state, or null where there is certainly none. One of an older schema version is migrated; the store has it
   * until the next save. What is refused stays as it is.
   *
   * A type argument says what the data is where neither the manager nor its schema does; it is not checked.
   * @throws `INVALID_STATE` where it does not match the schema, `MIGRATION_FAILED`, `STATE_TOO_NEW`
   */
  async loadSessionState<T = TData>(
    id: string,
    options: { userId?: string | undefined } = {},
  ): Promise<SessionState<T> | null> {
    const opened = await this.#open<T>(id, { ...options, last: 0 }, "loadSessionState");
    return opened?.session ?? null;
  }

  /** State and last messages in one trip. @param options.last how many, 0 to 1,000; default 100. */
  open(
    id: string,
    options: { last?: number | undefined; userId?: string | undefined } = {},
  ): Promise<Opened<TData> | null> {
    return this.#open<TData>(id, options, "open");
  }

  /** The last messages, oldest first, as an agent takes them for `history`. @param options.limit 1 to 1,000; default 100. */
  loadSessionHistory(
    id: string,
    options: { limit?: number | undefined; userId?: string | undefined } = {},
  ): Promise<MessageList> {
    return this.#read(id, options, "loadSessionHistory");
  }

  /** A page of messages, by default the last; none for a session that does not exist. */
  findMessagesBySessionId(id: string, query: MessageQuery = {}): Promise<MessageList> {
    return this.#read(id, query, "findMessagesBySessionId");
  }

  /** What is known of a session besides its state; null where there is none. */
  findSessionById(id: string, options: { userId?: string | undefined } = {}): Promise<SessionInfo | null> {
    return this.#call("findSessionById", id, async ({ ready, operation }) =>
      findSession(await ready(), id, options, operation),
    );
  }

  /** The newest active session of a user, by when it was created; null where there is none. */
  findActiveSessionByUserId(userId: string): Promise<SessionInfo | null> {
    return this.#call("findActiveSessionByUserId", undefined, async ({ ready, operation }) =>
      findActive(await ready(), userId, operation),
    );
  }

  /**
   * A page of a user's sessions, the newest created first. `next` is the `cursor` of the following page, null on the last.
   * @throws `INVALID_ARGUMENT` for a limit out of range, or a cursor that no page gave.
   */
  findSessionsByUserId(userId: string, query: SessionQuery = {}): Promise<List<SessionInfo>> {
    return this.#call("findSessionsByUserId", undefined, async ({ ready, operation }) =>
      findByUser(await ready(), userId, query, operation),
    );
  }

  /**
   * Messages by what was said in them, the newest first. Those that nobody can read any more (deleted, expired, trimmed, hidden
   * by a rewind) are not found; nor are, for a manager or call with a `userId`, those in sessions that do not belong to that
   * user. Where the store has no whole turns, a message is found when it has left the outbox: after the next turn, `flush`
   * or `prune`. `next` is the `cursor` of the following page, null on the last.
   * @throws `CAPABILITY_MISSING` where the adapter does not search; `INVALID_ARGUMENT` for a limit out of range, or a cursor
   * that no page gave.
   */
  search(query: MessageSearch): Promise<List<FoundMessage>> {
    return this.#call("search", query?.sessionId, async ({ ready, operation }) => {
      const wanted = prepareSearch(query, this.#options.userId, operation);
      return searchMessages(await ready(), wanted, operation);
    });
  }

  /**
   * Adds a message to a session that exists. Calls that are made at the same time keep their order and travel together.
   * The state's version does not move. @throws `SESSION_NOT_FOUND`
   */
  async saveMessage(input: MessageInput): Promise<StoredMessage> {
    const { userId, reopen, signal, ...message } = input;
    const [saved] = await this.#append([message], { userId, reopen, signal }, "saveMessage");
    if (saved === undefined) throw new TypeError("a message that was stored is given back");
    return saved;
  }

  /**
   * Adds messages to one session that exists, all or none, in one write. @throws `SESSION_NOT_FOUND`
   */
  async saveMessages(
    messages: readonly (Message & { readonly sessionId: string })[],
    options: WriteOptions = {},
  ): Promise<StoredMessage[]> {
    if (Array.isArray(messages) && messages.length === 0) return [];
    return this.#append(messages, options, "saveMessages");
  }

  /**
   * Completes, abandons or reactivates a session. The version does not move.
   * @param at when it was completed; default: now. @returns whether the session was there.
   */
  updateSessionStatus(
    id: string,
    status: SessionStatus,
    at?: Date,
    options: { userId?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    return this.#call("updateSessionStatus", id, async ({ ready, operation, ticket }) => {
      const event = { messages: [], status };
      return this.#around.save({ operation, sessionId: id, ticket }, event, async () =>
        updateStatus(await ready(), id, { status, at }, options, operation),
      );
    });
  }

  /**
   * Merges fields into what a session has collected, for its current route too, key by key: null is stored, `undefined`
   * removes. What others change meanwhile is kept. @returns the state that is stored now. @throws `SESSION_NOT_FOUND`
   */
  updateCollectedData(
    id: string,
    patch: Partial<TData>,
    options: WriteOptions = {},
  ): Promise<SessionState<TData>> {
    return this.#call("updateCollectedData", id, async ({ ready, operation, ticket }) => {
      const fields = copyOf(patch, operation);
      return this.#around.save({ operation, sessionId: id, ticket }, { messages: [] }, async () =>
        updateCollected(await ready(), id, fields, { ...options, ticket }, operation),
      );
    });
  }

  /**
   * The records of a session, of a user, or of the whole application: values by key, beside the sessions. Every call asks
   * the store; the object itself holds nothing.
   */
  records(of: RecordOwner): RecordStore {
    return createRecordStore<TData>(of, this.#around, (name, id, work) => this.#call(name, id, work));
  }

  /** Removes a session with all its messages and records. @returns whether it was there. */
  deleteSession(
    id: string,
    options: { userId?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    return this.#call("deleteSession", id, async ({ ready, operation, ticket }) =>
      this.#around.delete({ operation, sessionId: id, ticket }, async () =>
        removeSession(await ready(), id, options, operation),
      ),
    );
  }

  /** Removes all messages of a session but the newest. @param keep how many stay. @returns how many were removed. @throws `SESSION_NOT_FOUND` */
  trimMessages(
    id: string,
    keep: number,
    options: Pick<WriteOptions, "userId" | "signal"> = {},
  ): Promise<number> {
    return this.#call("trimMessages", id, async ({ ready, operation }) =>
      trimMessages(await ready(), id, keep, options, operation),
    );
  }

  /**
   * The housekeeping, to be called from time to time: removes sessions whose time is over and those that the options name,
   * finishes deletes that were begun, and delivers messages of sessions that nobody continues. One call does a bounded part;
   * go on with `cursor: report.next`, or just call it again.
   */
  prune(options: PruneOptions = {}): Promise<PruneReport> {
    return this.#call("prune", undefined, async ({ ready, ...call }) =>
      pruneSessions(await ready(), this.#around, options, call),
    );
  }

  /**
   * Removes all sessions of a user with their messages and records, in whatever status, and the user's own records: looks
   * until nothing is found any more. If it is interrupted or fails, call it again. Messages that the user wrote in sessions of others are theirs, and stay.
   */
  eraseUser(userId: string, options: { signal?: AbortSignal | undefined } = {}): Promise<EraseReport> {
    return this.#call("eraseUser", undefined, async ({ ready, ...call }) => {
      checkId(userId, call.operation, "user id");
      return eraseSessions(await ready(), this.#around, userId, options.signal, call);
    });
  }

  /**
   * Asks the store whether it is there: resolves also where it is not, and says why.
   * @param options.timeoutMs how long to wait for it; default: `deadlineMs`.
   */
  health(options: { timeoutMs?: number | undefined } = {}): Promise<Health> {
    const { adapter, environment = systemEnvironment, deadlineMs = defaultDeadlineMs } = this.#options;
    const { timeoutMs = deadlineMs } = options;
    return this.#call("health", undefined, async ({ ready, operation }) => {
      checkMilliseconds(timeoutMs, operation, "timeoutMs");
      return checkHealth(adapter, ready, environment, timeoutMs);
    });
  }

  /**
   * Reads a session from end to end, state and messages, and says what of it cannot be read; null where there is none.
   * Changes nothing.
   */
  inspectSession(
    id: string,
    options: { userId?: string | undefined } = {},
  ): Promise<SessionInspection | null> {
    return this.#call("inspectSession", id, async ({ ready, operation }) => {
      checkId(id, operation);
      return inspect(await ready(), id, options, operation);
    });
  }

  /** A session with all its messages, as plain JSON. @throws `SESSION_NOT_FOUND` */
  exportSession(id: string, options: { userId?: string | undefined } = {}): Promise<SessionExport> {
    return this.#call("exportSession", id, async ({ ready, operation, ticket }) =>
      this.#around.load(
        { operation, sessionId: id, ticket },
        async () => exportSession(await ready(), id, options, operation),
        () => ({ messages: [] }),
      ),
    );
  }

  /**
   * Stores an export, from whatever store it came, as a new session. All of it is checked before anything is written: its
   * checksum, its values, the schema. Its messages are numbered anew, from 1.
   * @param data what `exportSession` gave, also after `JSON.stringify` and `JSON.parse`.
   * @param options.id default: the id of the export. @param options.userId owner; default: the manager's, or else the export's.
   * @throws `EXPORT_DAMAGED`, `EXPORT_TOO_NEW`, `OWNER_MISMATCH`, `SESSION_EXISTS`, `INVALID_STATE`, `STATE_TOO_NEW`,
   * `MIGRATION_FAILED`, `COMMIT_TOO_LARGE`
   */
  importSession(
    data: unknown,
    options: { id?: string | undefined; userId?: string | undefined } = {},
  ): Promise<SavedTurn> {
    return this.#call("importSession", options.id, async ({ ready, ...call }) =>
      importSession(await ready(), this.#around, data, options, call),
    );
  }

  /** Resolves when all that was saved through this manager is where it belongs, and as durable as the store makes it. */
  async flush(): Promise<void> {
    if (this.#saving === null) return;
    const { store } = await this.#saving;
    await store.flush();
    await this.#options.adapter.flush?.();
  }

  /** Waits for the calls that were made, flushes, and lets go of the adapter. Later calls throw `CLOSED`; a second close does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await Promise.allSettled(this.#calls);
      await this.flush();
    } finally {
      await this.#connection.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open<T>(
    id: string,
    options: { last?: number | undefined; userId?: string | undefined },
    name: string,
  ): Promise<Opened<T> | null> {
    return this.#call(name, id, async ({ ready, operation, ticket }) => {
      // Hooks see what a session of this manager is, the caller what he says that it is.
      const read = async () => openSession<T & TData>(await ready(), id, options, operation);
      return this.#around.load({ operation, sessionId: id, ticket }, read, ({ session, messages }) => ({
        ...{ session, messages },
      }));
    });
  }

  #read(id: string, query: MessageQuery, name: string): Promise<MessageList> {
    return this.#call(name, id, async ({ ready, operation, ticket }) => {
      const read = async () => readMessages(await ready(), id, query, operation);
      return this.#around.load({ operation, sessionId: id, ticket }, read, (messages) => ({ messages }));
    });
  }

  #append(
    messages: readonly (Message & { readonly sessionId: string })[],
    options: WriteOptions,
    name: string,
  ): Promise<StoredMessage[]> {
    return this.#call(name, messages?.[0]?.sessionId, async ({ ready, operation, ticket }) => {
      const prepared = prepareMessages(messages, options, this.#context(ticket), operation);
      return this.#around.save({ operation, sessionId: prepared.id, ticket }, { messages }, async () =>
        appendMessages(await ready(), prepared),
      );
    });
  }

  /** What every call goes through. `work` begins at once, so that it takes what it was given as it is now. */
  async #call<T>(
    operation: string,
    sessionId: string | undefined,
    work: (call: ManagerCall<TData>) => Promise<T>,
  ): Promise<T> {
    if (this.#isClosed)
      throw new WaymarkError("CLOSED", `${operation}: the persistence manager was closed`, { operation });
    const ready = () => this.#ready();
    const began = this.#watch?.now();
    const result = work({ operation, ready, ticket: ++this.#lastTicket });
    this.#calls.add(result);
    try {
      return await result;
    } catch (error) {
      this.#watch?.failed({ operation, sessionId, error });
      throw error;
    } finally {
      this.#calls.delete(result);
      if (began !== undefined) this.#watch?.ended({ operation, sessionId }, began);
    }
  }

  #context(ticket: number): {
    readonly userId: string | undefined;
    readonly now: number;
    readonly ticket: number;
  } {
    const { userId, environment = systemEnvironment } = this.#options;
    return { userId, now: environment.now(), ticket };
  }

  #ready(): Promise<Saving<TData>> {
    this.#saving ??= this.#start().catch((error: unknown) => {
      this.#saving = null;
      throw error;
    });
    return this.#saving;
  }

  async #start(): Promise<Saving<TData>> {
    await this.#connection.ready();
    const { adapter, conflict, deadlineMs, schema, userId, agentName, expireAfterMs, waitUntil } =
      this.#options;
    const environment = this.#options.environment ?? systemEnvironment;
    return {
      store: createTurnStore(adapter, waitUntil === undefined ? environment : { ...environment, waitUntil }),
      environment,
      commitBytes: adapter.limits.commitBytes,
      idBytes: adapter.limits.idBytes ?? longestId,
      deadlineMs: deadlineMs ?? defaultDeadlineMs,
      conflict: conflict ?? "rebase",
      schema,
      versions: this.#versions,
      userId,
      agentName,
      expireAfterMs,
      known: new WeakMap(),
      tried: new WeakMap(),
      own: createOwnVersions(),
      shownVersions:
        adapter.provisional === true ? createProvisionalVersions(environment.newId) : storedVersions,
      validate: this.#around.validate,
      followers: this.#options.followers,
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
