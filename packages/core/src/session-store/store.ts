import { checkId } from "../contract/id.js";
import type { Message, Role, StoredMessage } from "../contract/message.js";
import { type ErrorCode, isWaymarkError } from "../errors.js";
import { FileAdapter } from "../file/adapter.js";
import { checkCount } from "../persistence/check.js";
import { type List, listOf } from "../persistence/list.js";
import { PersistenceManager } from "../persistence/manager.js";
import { type SessionInfo, infoOf } from "../persistence/queries.js";
import { createSession } from "../state/session.js";
import { systemEnvironment } from "../turn/environment.js";
import { createLanes } from "../turn/lane.js";
import { type ImportReport, importFiles } from "./import.js";
import type { ForeignSession } from "./parse.js";

export interface FileSessionStoreOptions {
  /** Where the sessions are kept. Default: `sessions` in the folder that `WAYMARK_HOME` names, or in `~/.waymark`. */
  readonly directory?: string | undefined;
  /**
   * How many of a session's newest messages are given back and kept, 1 to 1,000. Older ones are never given back, and are
   * removed in portions, so that up to a tenth more may be on the disk. Default: 100.
   */
  readonly maxMessages?: number | undefined;
  /** How long a write waits for the lock of its session before `STORAGE_LOCKED`, in milliseconds. Default: 5000. */
  readonly lockTimeoutMs?: number | undefined;
}

/** A message as a model's provider takes it. */
export interface ChatMessage {
  readonly role: Role;
  readonly content: string;
}

/** A session as it was when it was read. */
export interface SessionData {
  readonly id: string;
  /** The newest `maxMessages`, oldest first. The metadata of a message that was imported is in its `event`. */
  readonly messages: readonly StoredMessage[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly agentName: string | null;
  readonly userId: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The last messages of `messages`, oldest first. @param maxMessages 1 to 1,000; default: all. */
  getChatHistory(maxMessages?: number): ChatMessage[];
}

const largestWindow = 1_000;
/** Each time, another process has made or removed the session between two calls. */
const mostAttempts = 20;

/**
 * Conversations in files, without an agent: every call names its session, and the first message makes it. It stands on a
 * `FileAdapter` and a `PersistenceManager`, so that an agent or a manager with the same folder works on the same sessions,
 * and any number of processes of one machine may use it at once.
 *
 * A call that writes answers when the disk has it. Writes of one session through one store are done in the order of the
 * calls. Every failure is a `WaymarkError`: `INVALID_ID` and `INVALID_ARGUMENT` for what cannot be, `STORAGE_*` for the
 * files; nothing was written then.
 */
export class FileSessionStore {
  /** The folder that is used, as an absolute path. */
  readonly directory: string;
  readonly maxMessages: number;
  readonly #adapter: FileAdapter;
  readonly #manager: PersistenceManager;
  readonly #lanes = createLanes();
  readonly #trimEvery: number;

  /** @throws `INVALID_ARGUMENT` */
  constructor({ directory, maxMessages = 100, lockTimeoutMs }: FileSessionStoreOptions = {}) {
    checkCount(maxMessages, [1, largestWindow], "new FileSessionStore", "maxMessages");
    this.#adapter = new FileAdapter({
      ...(directory === undefined ? {} : { directory }),
      ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
    });
    this.#manager = new PersistenceManager({ adapter: this.#adapter });
    this.directory = this.#adapter.directory;
    this.maxMessages = maxMessages;
    this.#trimEvery = Math.max(1, Math.floor(maxMessages / 10));
  }

  /** Adds a message; the first one makes the session. @throws `SESSION_CLOSED` where an agent or manager completed it. */
  async addMessage(id: string, role: Role, content: string): Promise<StoredMessage> {
    checkId(id, "addMessage");
    return this.#lanes.run(id, async () => {
      const stored = await this.#add(id, { role, content, createdAt: new Date() });
      if (stored.sequence > this.maxMessages && stored.sequence % this.#trimEvery === 0) await this.#trim(id);
      return stored;
    });
  }

  addUserMessage(id: string, content: string): Promise<StoredMessage> {
    return this.addMessage(id, "user", content);
  }

  addAssistantMessage(id: string, content: string): Promise<StoredMessage> {
    return this.addMessage(id, "assistant", content);
  }

  /**
   * The last messages, oldest first, as a provider takes them; none where there is no session.
   * @param maxMessages 1 to 1,000, but never more than the store's own window. Default: that.
   */
  async getChatHistory(id: string, maxMessages: number = this.maxMessages): Promise<ChatMessage[]> {
    checkId(id, "getChatHistory");
    checkCount(maxMessages, [1, largestWindow], "getChatHistory", "maxMessages");
    const limit = Math.min(maxMessages, this.maxMessages);
    return chatOf(await this.#manager.loadSessionHistory(id, { limit }));
  }

  /** The session with its last messages; null where there is none. */
  async getSession(id: string): Promise<SessionData | null> {
    checkId(id, "getSession");
    for (;;) {
      const info = await this.#manager.findSessionById(id);
      if (info === null) return null;
      const opened = await this.#manager.open(id, { last: this.maxMessages });
      if (opened === null) return null;
      const { session, messages } = opened;
      // Otherwise somebody changed it between the two reads, and it may be another one of that id.
      if (session.version === info.version) return sessionData(info, session.metadata ?? {}, messages);
    }
  }

  /** Removes all messages of a session; the session stays, with what else is kept in it. @returns whether it was there. */
  async clearSession(id: string): Promise<boolean> {
    checkId(id, "clearSession");
    return this.#lanes.run(id, async () => {
      const removed = await unless("SESSION_NOT_FOUND", this.#manager.trimMessages(id, 0));
      return removed !== null;
    });
  }

  /** Removes a session with its messages. @returns whether it was there. */
  async deleteSession(id: string): Promise<boolean> {
    checkId(id, "deleteSession");
    return this.#lanes.run(id, () => this.#manager.deleteSession(id));
  }

  /**
   * A page of all sessions, the newest created first. One that is damaged is left out.
   * @param limit 1 to 100.
   * @param cursor `next` of the page before; null on the last page.
   */
  async listSessions(limit = 50, cursor?: string): Promise<List<SessionInfo>> {
    checkCount(limit, [1, 100], "listSessions", "limit");
    const { items, next } = await this.#adapter.sessionRepository.find(
      { expiresAfter: Date.now() },
      { limit, ...(cursor === undefined ? {} : { cursor }) },
    );
    return listOf(
      items.flatMap((row) => infoOf(row) ?? []),
      next,
    );
  }

  async sessionExists(id: string): Promise<boolean> {
    checkId(id, "sessionExists");
    return (await this.#manager.findSessionById(id)) !== null;
  }

  /**
   * Takes over a folder of `<session id>.json` files of PraisonAI's session store: ids, roles, contents, times, owner,
   * agent and metadata. Each file is stored as a whole or not at all. One that is damaged or of another form is reported,
   * a session that is stored already is left alone, and the files stay: it may be called again.
   * @throws `STORAGE_FAILED` where the folder cannot be read.
   */
  importFolder(folder: string): Promise<ImportReport> {
    return importFiles(folder, (session) => this.#import(session));
  }

  /** Waits for the calls that were made. Later calls throw `CLOSED`. */
  async close(): Promise<void> {
    await this.#lanes.idle();
    await this.#manager.close();
  }

  async #add(id: string, message: Message & { readonly createdAt: Date }): Promise<StoredMessage> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#manager.saveMessage({ sessionId: id, ...message });
      } catch (error) {
        if (!hasCode(error, "SESSION_NOT_FOUND") || attempt === mostAttempts) throw error;
      }
      const turn = { session: createSession({ id }), messages: [message] };
      const saved = await unless("SESSION_EXISTS", this.#manager.saveTurn(turn));
      if (saved !== null) return { ...message, sequence: saved.first };
    }
  }

  async #trim(id: string): Promise<void> {
    try {
      await this.#manager.trimMessages(id, this.maxMessages);
    } catch {
      // The message is stored, and whoever were told otherwise would send it again. A later message trims.
    }
  }

  async #import({
    id,
    messages,
    metadata,
    createdAt,
    updatedAt,
    agentName,
    userId,
  }: ForeignSession): Promise<void> {
    // Whoever looks for old sessions finds it as old as it is, not as new as its import.
    const environment = { ...systemEnvironment, now: () => updatedAt.getTime() };
    const manager = new PersistenceManager({ adapter: this.#adapter, environment, agentName });
    try {
      const session = createSession({ id, metadata: { ...metadata, createdAt, updatedAt } });
      await manager.saveTurn({ session, messages, userId });
    } finally {
      await manager.close();
    }
  }
}

function sessionData(
  { id, agentName, userId, createdAt, updatedAt }: SessionInfo,
  metadata: Readonly<Record<string, unknown>>,
  messages: readonly StoredMessage[],
): SessionData {
  const { createdAt: _created, updatedAt: _updated, ...own } = metadata;
  return {
    ...{ id, messages, createdAt, updatedAt, agentName, userId, metadata: own },
    getChatHistory: (maxMessages = largestWindow) => {
      checkCount(maxMessages, [1, largestWindow], "getChatHistory", "maxMessages");
      return chatOf(messages.slice(-maxMessages));
    },
  };
}

function chatOf(messages: readonly StoredMessage[]): ChatMessage[] {
  return messages.map(({ role, content }) => ({ role, content }));
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return isWaymarkError(error) && error.code === code;
}

/** Null where the call fails with that code. */
async function unless<T>(code: ErrorCode, call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (hasCode(error, code)) return null;
    throw error;
  }
}
