import type { PersistenceAdapter } from "../contract/adapter.js";
import type { Message } from "../contract/message.js";
import type { Migration } from "../state/migrate.js";
import type { FieldSchemas, Schema } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import type { TurnEnvironment } from "../turn/environment.js";
import type { Followers } from "./follow.js";
import type { PersistenceHooks } from "./hooks.js";
import type { RecordInput } from "./record-values.js";

/**
 * What to do when somebody else changed the session since this state was read.
 *
 * - `reject`: a `SessionConflictError`.
 * - `rebase`: keys changed only here and keys changed only there are both kept; a key changed by both is a
 *   `SessionConflictError` that names it.
 * - `queue`: changes made by this process go on top of each other in the order of the calls, the later one winning;
 *   a change made by another process is a `SessionConflictError`.
 * - a function: is given the three states and returns the one to store.
 */
export type ConflictPolicy<TData = unknown> = "reject" | "rebase" | "queue" | MergeFunction<TData>;

/** Makes one state of two. `base` is what both were made from; it is null where that is not known any more. */
export type MergeFunction<TData> = (states: {
  readonly base: SessionState<TData> | null;
  readonly mine: SessionState<TData>;
  readonly theirs: SessionState<TData>;
}) => SessionState<TData>;

export const defaultDeadlineMs = 10_000;

/** How an agent, or a manager used by itself, keeps its sessions. */
export interface PersistenceOptions<TData = unknown> {
  readonly adapter: PersistenceAdapter;
  /** Whether the agent saves every turn by itself. Default: true. */
  readonly autoSave?: boolean | undefined;
  /** Owner of the sessions. Sessions of another owner count as absent. A call may name its own. */
  readonly userId?: string | undefined;
  /** Default: `rebase`. */
  readonly conflict?: ConflictPolicy<TData> | undefined;
  /**
   * How long a session lives after its last write, in milliseconds: then it counts as absent, and `prune` removes it. Each
   * write of this manager sets it anew. `Infinity`: for ever. Default: what the session has, which is for ever at first.
   */
  readonly expireAfterMs?: number | undefined;
  /** Functions that are called around saves, loads and deletes, and told of errors and slow calls. */
  readonly hooks?: PersistenceHooks<TData> | undefined;
  /** How long a call may take before `onSlow` is told, in milliseconds. Default: 1,000. */
  readonly slowMs?: number | undefined;
  /** How long one call goes on trying among other writers, and how long a hook may take, in milliseconds. Default: 10,000. */
  readonly deadlineMs?: number | undefined;
  /** Told of work that goes on after a call has answered, for hosts that stop a process when it has answered. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** What the manager is told by the agent, or by whoever makes it. */
export interface ManagerOptions<TData = unknown> extends PersistenceOptions<TData> {
  /** Checks `data` and `dataByRoute` field by field, before each save and after each load. */
  readonly schema?: FieldSchemas<TData> | Schema | undefined;
  /** Stored with each state. Raise it when what is stored has to change, and give a migration. Default: 1. */
  readonly schemaVersion?: number | undefined;
  /** For each version before the present one, from 1, the function that leads on to the next. */
  readonly migrations?: Readonly<Record<number, Migration>> | undefined;
  /** Stored with the sessions that are created, for queries. */
  readonly agentName?: string | undefined;
  /** Objects that an agent's hooks run for: they take over what is saved of their sessions meanwhile. Default: none. */
  readonly followers?: Followers<TData> | undefined;
  /** Clock, randomness and pauses. Default: the real ones. */
  readonly environment?: TurnEnvironment | undefined;
}

/** Options of the calls that write. */
export interface WriteOptions {
  readonly userId?: string | undefined;
  /** Go on with a session that is completed or abandoned; it becomes active again. */
  readonly reopen?: boolean | undefined;
  /** Stops the waiting for other writers. A write that has been sent is not called back. */
  readonly signal?: AbortSignal | undefined;
}

/** One exchange, to be stored all or none. */
export interface TurnInput<TData> extends WriteOptions {
  readonly session: SessionState<TData>;
  readonly messages?: readonly Message[] | undefined;
  /** Records of the session, stored with the turn or not at all; each key once. @throws `CAPABILITY_MISSING` where the adapter keeps none. */
  readonly records?: readonly RecordInput[] | undefined;
  /** 1 to 128 bytes. The same id with the same contents again returns the first result and writes nothing. Default: a new one. */
  readonly operationId?: string | undefined;
  /** True says that `operationId` was certainly never sent before. Default: it may have been. */
  readonly firstTry?: boolean | undefined;
  readonly conflict?: ConflictPolicy<TData> | undefined;
}

/** What was stored. */
export interface SavedTurn {
  /** The version that was made; `session.version` holds it too. */
  readonly version: string;
  /** Sequences of the messages, `first` to `last`; `last` is `first - 1` where there were none. */
  readonly first: number;
  readonly last: number;
  /** Whether it had been stored before, by an earlier try with the same operation id. */
  readonly replayed: boolean;
}
