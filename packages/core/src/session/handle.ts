// Users may compile against a library that does not know `Symbol.asyncDispose` yet.
/// <reference lib="esnext.disposable" preserve="true" />
import type { Message, Role, StoredMessage } from "../contract/message.js";
import { isPlainObject } from "../codec/kind.js";
import { setOwn } from "../codec/own.js";
import { invalid } from "../persistence/check.js";
import type { SessionExport } from "../persistence/export-format.js";
import { type SessionState, createSession } from "../state/session.js";
import type { Lanes } from "../turn/lane.js";
import type { ChatOptions, Conversation } from "./conversation.js";
import { type Events, type SessionEvents, conflictOf, emitEntered } from "./events.js";
import type { AgentResponse } from "./response.js";

/** What a message may have besides who said what. */
export type MessageDetails = Omit<Message, "role" | "content" | "sequence">;

/**
 * One conversation, as an application holds it. Nothing is read before it is needed, and every call reads what is stored at
 * that moment, so that several handles, or several processes, can hold one session. Calls of one agent for one session run in
 * the order in which they were made; each is stored when it resolves.
 */
export interface SessionHandle<TData = Record<string, unknown>> {
  /** Absent for a conversation that is kept in memory only. */
  readonly id: string | undefined;
  /**
   * Says something and resolves to the answer, when the whole turn is stored. After a failure the conversation stands where it
   * stood before.
   * @throws TurnNotSavedError when the model answered and the turn could not be stored.
   */
  chat(text: string, options?: ChatOptions): Promise<AgentResponse<TData>>;
  /** Adds a message that was said elsewhere, without asking the model; begins the session where there is none. */
  addMessage(role: Role, content: string, details?: MessageDetails): Promise<StoredMessage>;
  /** The last messages, oldest first. @param options.limit 1 to 1,000; default 100. */
  messages(options?: { limit?: number }): Promise<Message[]>;
  /** The state as it is now; a new one where nothing is stored yet. In memory, the live object; otherwise a copy of its own. */
  state(): Promise<SessionState<TData>>;
  /**
   * Keeps a value with the session, in its metadata; `undefined` removes it. Values of other keys that others set meanwhile
   * are kept. @throws `INVALID_ARGUMENT` for `createdAt` and `updatedAt`, which Waymark keeps; `INVALID_VALUE`
   */
  set(key: string, value: unknown): Promise<void>;
  /** A value of the metadata; undefined where there is none. */
  get(key: string): Promise<unknown>;
  /**
   * Sets one of the person's preferences: a field of the metadata's `preferences`. The other preferences stay. `undefined`
   * removes it. @throws `INVALID_ARGUMENT` where `preferences` was set to something that has no fields.
   */
  updatePreference(name: string, value: unknown): Promise<void>;
  /** Removes all messages. What was collected, the position and the metadata stay. @returns how many were removed. */
  clear(): Promise<number>;
  /** Removes the session with its messages. @returns whether it was there. */
  delete(): Promise<boolean>;
  /**
   * Calls a function at each event of this handle, when what it tells is done. Events of other handles and processes are not
   * told. The function is not waited for, and what it throws is ignored. @returns what ends that.
   */
  on<E extends keyof SessionEvents>(event: E, listener: (detail: SessionEvents[E]) => void): () => void;
  /** The whole session as plain JSON. @throws `SESSION_NOT_FOUND` */
  export(): Promise<SessionExport>;
  /**
   * Makes of an export this session, under its own id. All of it is checked before anything is written.
   * @param data what `export` gave, in whatever store; or what was parsed from its JSON.
   * @throws `EXPORT_DAMAGED`, `EXPORT_TOO_NEW`, `OWNER_MISMATCH`, `SESSION_EXISTS`, `INVALID_STATE`, `STATE_TOO_NEW`
   */
  import(data: unknown): Promise<void>;
  /** Writes the export into a file, as a whole or not at all. @throws `CAPABILITY_MISSING` outside Node */
  save(path: string): Promise<void>;
  /** Imports what `save` wrote. @throws as `import`; `CAPABILITY_MISSING` outside Node */
  load(path: string): Promise<void>;
  /** Waits for the calls that were made, and until all of it is as durable as the store makes it. The handle can be used on. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A handle of a conversation. @param ticket numbers the calls of `chat`, where the agent has hooks. */
export function createHandle<TData>(
  conversation: Conversation<TData>,
  { on, emit }: Events,
  lanes: Lanes,
  ticket: () => number | undefined,
): SessionHandle<TData> {
  const { id } = conversation;

  async function run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await lanes.run(id ?? "", work, signal);
    } catch (error) {
      const conflict = conflictOf(error);
      if (conflict !== undefined) emit("conflict", conflict);
      throw error;
    }
  }

  function saved({ version }: { readonly version?: string | undefined }): void {
    if (version !== undefined) emit("saved", { version });
  }

  const change = (apply: (metadata: object) => void) =>
    run(async () => saved(await conversation.change((session) => apply((session.metadata ??= {})))));

  return {
    id,
    chat: async (text, options = {}) => {
      if (typeof text !== "string") throw invalid("chat", "`text` must be a string");
      const said = { ...options, text, ticket: ticket() };
      const { response, finish } = await run(async () => {
        const taken = await conversation.turn(said);
        const { before, response, first } = taken;
        const { message, toolCalls, session } = response;
        const last = response.saved?.last ?? (first === undefined ? undefined : first + 1);
        emit("messageAdded", { role: "user", content: text, sequence: first });
        emit("messageAdded", {
          ...{ role: "assistant", content: message, sequence: last },
          ...(toolCalls.length === 0 ? {} : { toolCalls }),
        });
        if (response.saved !== undefined) saved(response.saved);
        emitEntered({ emit }, before, session);
        return taken;
      }, options.signal);
      await finish?.();
      return response;
    },
    addMessage: (role, content, details = {}) =>
      run(async () => {
        const message = await conversation.add({ ...details, role, content });
        emit("messageAdded", message);
        return message;
      }),
    messages: ({ limit } = {}) => conversation.messages(limit),
    state: async () => (await conversation.state()) ?? createSession<TData>(id === undefined ? {} : { id }),
    set: async (key, value) => {
      checkKey(key, "set");
      await change((metadata) => put(metadata, key, value));
    },
    get: async (key) => {
      const metadata = (await conversation.state())?.metadata ?? {};
      return Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    },
    updatePreference: async (name, value) => {
      if (typeof name !== "string") throw invalid("updatePreference", "`name` must be a string");
      await change((metadata) => {
        const present: unknown = Reflect.get(metadata, "preferences") ?? {};
        if (!isPlainObject(present))
          throw invalid("updatePreference", "`preferences` of the metadata is not an object", id);
        const preferences = { ...present };
        put(preferences, name, value);
        put(metadata, "preferences", preferences);
      });
    },
    clear: () =>
      run(async () => {
        const removed = await conversation.clear();
        emit("cleared", { removed });
        return removed;
      }),
    delete: () => run(() => conversation.delete()),
    on,
    export: () => run(() => conversation.export()),
    import: (data) => run(async () => saved(await conversation.import(data))),
    save: (path) =>
      run(async () => {
        const { writeJson } = await import("#default-store");
        await writeJson(path, await conversation.export());
      }),
    load: (path) =>
      run(async () => {
        const { readJson } = await import("#default-store");
        saved(await conversation.import(await readJson(path)));
      }),
    [Symbol.asyncDispose]: () => run(() => conversation.flush()),
  };
}

function checkKey(key: unknown, operation: string): void {
  if (typeof key !== "string") throw invalid(operation, "`key` must be a string");
  if (key === "createdAt" || key === "updatedAt")
    throw invalid(operation, "`createdAt` and `updatedAt` are kept by Waymark");
}

function put(target: object, key: string, value: unknown): void {
  if (value === undefined) Reflect.deleteProperty(target, key);
  else setOwn(target, key, value);
}
