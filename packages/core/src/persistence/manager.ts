// Users may compile against a library that does not know `Symbol.asyncDispose` yet.
/// <reference lib="esnext.disposable" preserve="true" />
import type { PersistenceAdapter } from "../contract/adapter.js";
import { checkId } from "../contract/id.js";
import type { Message, StoredMessage } from "../contract/message.js";
import { ValidationError, WaymarkError } from "../errors.js";
import { type SchemaVersions, schemaVersions } from "../state/migrate.js";
import type { SessionState } from "../state/session.js";
import { systemEnvironment } from "../turn/environment.js";
import { createOwnVersions } from "../turn/own.js";
import { createTurnStore } from "../turn/store.js";
import { appendMessages, prepareMessages } from "./append.js";
import { invalid } from "./check.js";
import { type Connection, connect } from "./connection.js";
import { type MessageList, type MessageQuery, readMessages } from "./history.js";
import { type SessionStatus, copyOf, removeSession, updateCollected, updateStatus } from "./lifecycle.js";
import type { List } from "./list.js";
import { type Opened, openSession } from "./open.js";
import type { ManagerOptions, SavedTurn, TurnInput, WriteOptions } from "./options.js";
import { type SessionInfo, type SessionQuery, findActive, findByUser, findSession } from "./queries.js";
import { prepareTurn, saveTurn } from "./save.js";
import type { Saving } from "./saving.js";

/** A message for a session that exists. */
export interface MessageInput extends Message, WriteOptions {
  readonly sessionId: string;
}

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
  readonly #calls = new Set<Promise<unknown>>();
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
    return this.#call("saveSessionState", async (ready, call) => {
      checkId(id, call);
      if (session.id !== undefined && session.id !== id)
        throw invalid(call, "the state belongs to another session id", id);
      session.id = id;
      const turn = prepareTurn({ ...options, session }, this.#context(), call);
      await saveTurn(await ready(), turn);
      return session;
    });
  }

  /**
   * Stores one exchange: the state, if it changed, and its messages, all or none. Writes the new version into
   * `input.session`. A retry with the same `operationId` is harmless.
   */
  async saveTurn(input: TurnInput<TData>): Promise<SavedTurn> {
    return this.#call("saveTurn", async (ready, call) => {
      const turn = prepareTurn(input, this.#context(), call);
      return saveTurn(await ready(), turn);
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
    return this.#call("loadSessionState", async (ready, call) => {
      const opened = await openSession<T>(await ready(), id, { ...options, last: 0 }, call);
      return opened?.session ?? null;
    });
  }

  /** State and last messages in one trip. @param options.last how many, 0 to 1,000; default 100. */
  async open(
    id: string,
    options: { last?: number | undefined; userId?: string | undefined } = {},
  ): Promise<Opened<TData> | null> {
    return this.#call("open", async (ready, call) => openSession<TData>(await ready(), id, options, call));
  }

  /** The last messages, oldest first, as an agent takes them for `history`. @param options.limit 1 to 1,000; default 100. */
  async loadSessionHistory(
    id: string,
    options: { limit?: number | undefined; userId?: string | undefined } = {},
  ): Promise<MessageList> {
    return this.#call("loadSessionHistory", async (ready, call) =>
      readMessages(await ready(), id, options, call),
    );
  }

  /** A page of messages, by default the last; none for a session that does not exist. */
  async findMessagesBySessionId(id: string, query: MessageQuery = {}): Promise<MessageList> {
    return this.#call("findMessagesBySessionId", async (ready, call) =>
      readMessages(await ready(), id, query, call),
    );
  }

  /** What is known of a session besides its state; null where there is none. */
  async findSessionById(
    id: string,
    options: { userId?: string | undefined } = {},
  ): Promise<SessionInfo | null> {
    return this.#call("findSessionById", async (ready, call) =>
      findSession(await ready(), id, options, call),
    );
  }

  /** The newest active session of a user, by when it was created; null where there is none. */
  async findActiveSessionByUserId(userId: string): Promise<SessionInfo | null> {
    return this.#call("findActiveSessionByUserId", async (ready, call) =>
      findActive(await ready(), userId, call),
    );
  }

  /**
   * A page of a user's sessions, the newest created first. `next` is the `cursor` of the following page, null on the last.
   * @throws `INVALID_ARGUMENT` for a limit out of range, or a cursor that no page gave.
   */
  async findSessionsByUserId(userId: string, query: SessionQuery = {}): Promise<List<SessionInfo>> {
    return this.#call("findSessionsByUserId", async (ready, call) =>
      findByUser(await ready(), userId, query, call),
    );
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
  async updateSessionStatus(
    id: string,
    status: SessionStatus,
    at?: Date,
    options: { userId?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    return this.#call("updateSessionStatus", async (ready, call) =>
      updateStatus(await ready(), id, { status, at }, options, call),
    );
  }

  /**
   * Merges fields into what a session has collected, for its current route too, key by key: null is stored, `undefined`
   * removes. What others change meanwhile is kept. @returns the state that is stored now. @throws `SESSION_NOT_FOUND`
   */
  async updateCollectedData(
    id: string,
    patch: Partial<TData>,
    options: WriteOptions = {},
  ): Promise<SessionState<TData>> {
    return this.#call("updateCollectedData", async (ready, call) => {
      const fields = copyOf(patch, call);
      return updateCollected(await ready(), id, fields, options, call);
    });
  }

  /** Removes a session with all its messages. @returns whether it was there. */
  async deleteSession(
    id: string,
    options: { userId?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    return this.#call("deleteSession", async (ready, call) =>
      removeSession(await ready(), id, options, call),
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

  /**
   * What every call goes through. `work` begins at once, so that it takes what it was given as it is now.
   */
  async #call<T>(
    operation: string,
    work: (ready: () => Promise<Saving<TData>>, operation: string) => Promise<T>,
  ): Promise<T> {
    if (this.#isClosed)
      throw new WaymarkError("CLOSED", `${operation}: the persistence manager was closed`, { operation });
    const result = work(() => this.#ready(), operation);
    this.#calls.add(result);
    try {
      return await result;
    } finally {
      this.#calls.delete(result);
    }
  }

  async #append(
    messages: readonly (Message & { readonly sessionId: string })[],
    options: WriteOptions,
    operation: string,
  ): Promise<StoredMessage[]> {
    return this.#call(operation, async (ready, call) => {
      const prepared = prepareMessages(messages, options, this.#context(), call);
      return appendMessages(await ready(), prepared);
    });
  }

  #context(): { readonly userId: string | undefined; readonly now: number } {
    const { userId, environment = systemEnvironment } = this.#options;
    return { userId, now: environment.now() };
  }

  async #ready(): Promise<Saving<TData>> {
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
