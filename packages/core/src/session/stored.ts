import { checkId } from "../contract/id.js";
import type { Message } from "../contract/message.js";
import { type ErrorCode, isWaymarkError } from "../errors.js";
import type { PersistenceManager } from "../persistence/manager.js";
import { createSession } from "../state/session.js";
import type { Conversation, Said, TakeTurn, Taken } from "./conversation.js";
import { type Events, positionOf } from "./events.js";
import { stableWindow } from "./window.js";

interface StoredSession<TData> {
  readonly id: string;
  readonly userId?: string | undefined;
  /** How many messages the model is shown. */
  readonly historyLimit: number;
  /** Whether that has to begin the same in the next turn. */
  readonly isStable: boolean;
  manager(): Promise<PersistenceManager<TData>>;
  readonly takeTurn: TakeTurn<TData>;
}

/** A conversation that is kept by a manager. @throws `INVALID_ID` */
export function storedConversation<TData>(
  options: StoredSession<TData>,
  { emit }: Pick<Events, "emit">,
): Conversation<TData> {
  const { id, userId, historyLimit, isStable, manager, takeTurn } = options;
  checkId(id, "session");
  if (userId !== undefined) checkId(userId, "session", "user id");
  /** When the session ends, as far as this handle has seen, in milliseconds. */
  let ends = Infinity;
  let isUsed = false;

  async function open(last: number) {
    const store = await use();
    const opened = await store.open(id, { last, userId });
    if (opened === null) isGone();
    else ends = opened.expiresAt?.getTime() ?? Infinity;
    return opened;
  }

  function use(): Promise<PersistenceManager<TData>> {
    isUsed = true;
    return manager();
  }

  function isGone(): void {
    const at = ends;
    ends = Infinity;
    if (Date.now() >= at) emit("expired", { at: new Date(at) });
  }

  async function wrote(): Promise<void> {
    const { expireAfterMs } = await manager();
    if (expireAfterMs !== undefined) ends = Date.now() + expireAfterMs;
  }

  /** Works on what is stored, or begins the session. */
  async function onState<T>(last: number, work: (opened: Awaited<ReturnType<typeof open>>) => Promise<T>) {
    const opened = await open(last);
    try {
      return await work(opened);
    } catch (error) {
      if (opened !== null || !hasCode(error, "SESSION_EXISTS")) throw error;
      // Another process began the session between our look and our create. If it is not ours, there is none to be seen.
      const begun = await open(last);
      if (begun === null) throw error;
      return work(begun);
    }
  }

  async function turn({ text, ...chatOptions }: Said): Promise<Taken<TData>> {
    const taken = await onState(historyLimit, async (opened) => {
      const session = opened?.session ?? createSession<TData>({ id });
      const recent = opened?.messages ?? [];
      const shown = isStable ? stableWindow(recent, historyLimit) : { messages: recent, stable: undefined };
      const history: Message[] = [...shown.messages, { role: "user", content: text }];
      const before = positionOf(session);
      const said = { ...chatOptions, userId, session, history, stable: shown.stable };
      const taken = await takeTurn(said);
      return { ...taken, before, first: taken.response.saved?.first };
    });
    await wrote();
    return taken;
  }

  return {
    id,
    turn,
    messages: async (limit) => (await use()).loadSessionHistory(id, { limit, userId }),
    state: async () => (await open(0))?.session ?? null,
    change: async (apply) => {
      const saved = await onState(0, async (opened) => {
        const session = opened?.session ?? createSession<TData>({ id });
        apply(session);
        return (await manager()).saveTurn({
          ...{ session, userId },
          conflict: ({ theirs }) => {
            apply(theirs);
            return theirs;
          },
        });
      });
      await wrote();
      return saved;
    },
    add: async (message) => {
      const store = await use();
      const append = () => store.saveMessage({ ...message, sessionId: id, userId });
      const begin = async () => {
        const session = createSession<TData>({ id });
        const createdAt = message.createdAt ?? new Date();
        const { first } = await store.saveTurn({
          ...{ session, userId },
          messages: [{ ...message, createdAt }],
        });
        return { ...message, createdAt, sequence: first };
      };
      const stored = await append().catch((absent: unknown) => {
        if (!hasCode(absent, "SESSION_NOT_FOUND")) throw absent;
        isGone();
        return begin().catch((exists: unknown) => {
          if (!hasCode(exists, "SESSION_EXISTS")) throw exists;
          return append().catch((error: unknown) => {
            throw hasCode(error, "SESSION_NOT_FOUND") ? exists : error;
          });
        });
      });
      await wrote();
      return stored;
    },
    clear: async () => {
      try {
        return await (await use()).trimMessages(id, 0, { userId });
      } catch (error) {
        if (hasCode(error, "SESSION_NOT_FOUND")) return 0;
        throw error;
      }
    },
    delete: async () => {
      ends = Infinity;
      return (await use()).deleteSession(id, { userId });
    },
    export: async () => (await use()).exportSession(id, { userId }),
    import: async (data) => {
      const saved = await (await use()).importSession(data, { id, userId });
      await wrote();
      return saved;
    },
    flush: async () => {
      if (isUsed) await (await manager()).flush();
    },
  };
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return isWaymarkError(error) && error.code === code;
}
