import type { Message, StoredMessage } from "../contract/message.js";
import type { SessionExport } from "../persistence/export-format.js";
import type { SessionState } from "../state/session.js";
import type { AgentResponse } from "./response.js";
import type { Position } from "./events.js";

/** Options of one `chat`. */
export interface ChatOptions {
  /** Stops waiting for the model, and for other writers of the session. */
  readonly signal?: AbortSignal | undefined;
  /** How long the model may take, in milliseconds. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
}

/** How the agent takes one turn of a handle. */
export type TakeTurn<TData> = (
  turn: Omit<Said, "text"> & {
    readonly session: SessionState<TData>;
    readonly history: readonly Message[];
    readonly userId?: string | undefined;
    readonly stable: number | undefined;
  },
) => Promise<TakenTurn<TData>>;

/** A turn that was taken. */
export interface TakenTurn<TData> {
  readonly response: AgentResponse<TData>;
  /** Calls the hooks that come after a turn, when it is kept. */
  readonly finish: (() => Promise<void>) | undefined;
}

/** A turn of a handle, as it was called. */
export interface Said extends ChatOptions {
  readonly text: string;
  readonly ticket: number | undefined;
}

/** Where a conversation is kept: what a handle does is the same for all, and this is not. Calls come one at a time. */
export interface Conversation<TData> {
  readonly id: string | undefined;
  turn(said: Said): Promise<Taken<TData>>;
  messages(limit: number | undefined): Promise<Message[]>;
  /** Null: there is none yet. */
  state(): Promise<SessionState<TData> | null>;
  /** Changes the state that is there, or begins with one. `apply` may be called again, on another state. */
  change(apply: (session: SessionState<TData>) => void): Promise<{ version?: string | undefined }>;
  add(message: Message): Promise<StoredMessage>;
  /** @returns how many messages were removed. */
  clear(): Promise<number>;
  delete(): Promise<boolean>;
  export(): Promise<SessionExport>;
  import(data: unknown): Promise<{ version?: string | undefined }>;
  flush(): Promise<void>;
}

/** A turn, and where the session stood before it. */
export interface Taken<TData> extends TakenTurn<TData> {
  readonly before: Position;
  /** Sequence of what the person said. */
  readonly first: number | undefined;
}
