import type { Message } from "../contract/message.js";
import { WaymarkError } from "../errors.js";
import { openExport, sealExport } from "../persistence/export-format.js";
import { encodeMessages, messageProblems } from "../persistence/messages.js";
import { readExport } from "../persistence/transfer.js";
import { encodeState } from "../state/envelope.js";
import type { SchemaVersions } from "../state/migrate.js";
import { type Schema, validateState } from "../state/schema.js";
import { createSession } from "../state/session.js";
import { invalid } from "../persistence/check.js";
import type { Conversation, TakeTurn } from "./conversation.js";
import { positionOf } from "./events.js";
import { stableWindow } from "./window.js";

/** A conversation that lives as long as its handle. */
export function memoryConversation<TData>(options: {
  readonly historyLimit: number;
  /** Whether what the model is shown has to begin the same in the next turn. */
  readonly isStable: boolean;
  readonly takeTurn: TakeTurn<TData>;
  readonly agentName: string;
  readonly schema: Schema | undefined;
  readonly versions: SchemaVersions;
}): Conversation<TData> {
  const { historyLimit, isStable, takeTurn, agentName, schema, versions } = options;
  let session = createSession<TData>();
  let messages: (Message & { sequence: number; createdAt: Date })[] = [];
  /** Sequences are given once, also where messages were removed. */
  let last = 0;
  let isBegun = false;

  function keep(message: Message) {
    isBegun = true;
    const stored = { ...message, createdAt: message.createdAt ?? new Date(), sequence: ++last };
    messages.push(stored);
    return stored;
  }

  return {
    id: undefined,
    turn: async ({ text, ...options }) => {
      const before = positionOf(session);
      const said: Message = { role: "user", content: text, createdAt: new Date() };
      const recent = messages.slice(-historyLimit);
      const shown = isStable ? stableWindow(recent, historyLimit) : { messages: recent, stable: undefined };
      const history = [...shown.messages, said];
      const taken = await takeTurn({ ...options, session, history, stable: shown.stable });
      const { message, toolCalls } = taken.response;
      const { sequence } = keep(said);
      keep({ role: "assistant", content: message, ...(toolCalls.length === 0 ? {} : { toolCalls }) });
      return { ...taken, before, first: sequence };
    },
    messages: async (limit = 100) => {
      if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
        throw invalid("messages", "`limit` must be an integer from 1 to 1000");
      return messages.slice(-limit);
    },
    state: async () => session,
    change: async (apply) => {
      apply(session);
      isBegun = true;
      return {};
    },
    add: async (message) => {
      const [problem] = messageProblems(message, []);
      if (problem !== undefined)
        throw invalid("addMessage", `\`${problem.path.join(".")}\` ${problem.message}`);
      return keep(message);
    },
    clear: async () => messages.splice(0).length,
    delete: async () => {
      const wasThere = isBegun;
      session = createSession<TData>();
      messages = [];
      last = 0;
      isBegun = false;
      return wasThere;
    },
    export: async () => {
      const context = { operation: "export", sessionId: "" };
      const now = Date.now();
      return sealExport(
        {
          session: {
            ...{ id: null, userId: null, agentName, status: "active", completedAt: null },
            createdAt: session.metadata?.createdAt?.getTime() ?? now,
            state: encodeState(session, { operation: "export" }, { schemaVersion: versions.version }),
          },
          messages: encodeMessages(messages, { ...context, userId: null, now }),
        },
        "export",
      );
    },
    import: async (data) => {
      const operation = "import";
      const imported = readExport<TData>(await openExport(data, operation), versions, undefined, operation);
      if (schema !== undefined) await validateState(schema, imported.session, { operation });
      if (isBegun)
        throw new WaymarkError("SESSION_EXISTS", "import: the conversation has begun; delete it first", {
          operation,
        });
      session = imported.session;
      messages = [...imported.messages];
      last = messages.length;
      isBegun = true;
      return {};
    },
    flush: async () => {},
  };
}
