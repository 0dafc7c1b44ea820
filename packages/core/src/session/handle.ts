import { checkId } from "../contract/id.js";
import type { Message } from "../contract/message.js";
import { ValidationError, isWaymarkError } from "../errors.js";
import type { PersistenceManager } from "../persistence/manager.js";
import { type SessionState, createSession } from "../state/session.js";
import type { Lanes } from "../turn/lane.js";
import type { AgentResponse } from "./response.js";

/** Options of one `chat`. */
export interface ChatOptions {
  /** Stops waiting for the model, and for other writers of the session. */
  readonly signal?: AbortSignal | undefined;
  /** How long the model may take, in milliseconds. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * One conversation, as an application holds it. Nothing is read before it is needed, and every call reads what is stored at
 * that moment, so that several handles, or several processes, can hold one session.
 */
export interface SessionHandle<TData = Record<string, unknown>> {
  /** Absent for a conversation that is kept in memory only. */
  readonly id: string | undefined;
  /**
   * Says something and resolves to the answer, when the whole turn is stored. Calls for one session run in the order in
   * which they were made. After a failure the conversation stands where it stood before.
   * @throws TurnNotSavedError when the model answered and the turn could not be stored.
   */
  chat(text: string, options?: ChatOptions): Promise<AgentResponse<TData>>;
  /** The last messages, oldest first. @param options.limit 1 to 1,000; default 100. */
  messages(options?: { limit?: number }): Promise<Message[]>;
  /** The state as it is now; a new one where nothing is stored yet. In memory, the live object; otherwise a copy of its own. */
  state(): Promise<SessionState<TData>>;
  /** Removes the session with its messages. @returns whether it was there. */
  delete(): Promise<boolean>;
}

/** How the agent takes one turn of a handle. */
export type TakeTurn<TData> = (
  turn: ChatOptions & {
    readonly session: SessionState<TData>;
    readonly history: readonly Message[];
    readonly userId?: string | undefined;
  },
) => Promise<AgentResponse<TData>>;

interface StoredSession<TData> {
  readonly id: string;
  readonly userId?: string | undefined;
  /** How many messages the model is shown. */
  readonly historyLimit: number;
  readonly lanes: Lanes;
  manager(): Promise<PersistenceManager<TData>>;
  readonly takeTurn: TakeTurn<TData>;
}

/** A handle of a session that is stored. @throws `INVALID_ID` */
export function storedHandle<TData>(options: StoredSession<TData>): SessionHandle<TData> {
  const { id, userId, historyLimit, lanes, manager, takeTurn } = options;
  checkId(id, "session");
  if (userId !== undefined) checkId(userId, "session", "user id");

  async function turn(text: string, chatOptions: ChatOptions): Promise<AgentResponse<TData>> {
    const store = await manager();
    const open = () => store.open(id, { last: historyLimit, userId });
    const take = (opened: Awaited<ReturnType<typeof open>>) =>
      takeTurn({
        ...chatOptions,
        userId,
        session: opened?.session ?? createSession<TData>({ id }),
        history: [...(opened?.messages ?? []), { role: "user", content: text }],
      });
    const opened = await open();
    try {
      return await take(opened);
    } catch (error) {
      if (opened !== null || !isWaymarkError(error) || error.code !== "SESSION_EXISTS") throw error;
      // Another process began the session between our look and our create. If it is not ours, there is none to be seen.
      const begun = await open();
      if (begun === null) throw error;
      return take(begun);
    }
  }

  return {
    id,
    chat: async (text, chatOptions = {}) => {
      checkText(text);
      return lanes.run(id, () => turn(text, chatOptions), chatOptions.signal);
    },
    messages: async ({ limit } = {}) => (await manager()).loadSessionHistory(id, { limit, userId }),
    state: async () =>
      (await (await manager()).loadSessionState(id, { userId })) ?? createSession<TData>({ id }),
    delete: () => lanes.run(id, async () => (await manager()).deleteSession(id, { userId })),
  };
}

/** A handle of a conversation that lives as long as the handle. */
export function memoryHandle<TData>(options: {
  readonly historyLimit: number;
  /** Lanes of this handle alone. */
  readonly lanes: Lanes;
  readonly takeTurn: TakeTurn<TData>;
}): SessionHandle<TData> {
  const { historyLimit, lanes, takeTurn } = options;
  let session = createSession<TData>();
  let messages: Message[] = [];

  async function turn(text: string, chatOptions: ChatOptions): Promise<AgentResponse<TData>> {
    const said: Message = { role: "user", content: text, createdAt: new Date() };
    const history = [...messages.slice(-historyLimit), said];
    const response = await takeTurn({ ...chatOptions, session, history });
    const { message, toolCalls } = response;
    const answer: Message = {
      role: "assistant",
      content: message,
      createdAt: new Date(),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
    };
    for (const each of [said, answer]) messages.push({ ...each, sequence: messages.length + 1 });
    return response;
  }

  return {
    id: undefined,
    chat: async (text, chatOptions = {}) => {
      checkText(text);
      return lanes.run("", () => turn(text, chatOptions), chatOptions.signal);
    },
    messages: async ({ limit = 100 } = {}) => {
      if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
        throw invalid("messages", "`limit` must be an integer from 1 to 1000");
      }
      return messages.slice(-limit);
    },
    state: async () => session,
    delete: () =>
      lanes.run("", async () => {
        const wasThere = messages.length > 0;
        session = createSession<TData>();
        messages = [];
        return wasThere;
      }),
  };
}

function checkText(text: unknown): void {
  if (typeof text !== "string") throw invalid("chat", "`text` must be a string");
}

function invalid(operation: string, message: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `${operation}: ${message}`, { operation });
}
