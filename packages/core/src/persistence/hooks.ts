import type { Message, StoredMessage } from "../contract/message.js";
import type { SessionStatus } from "../contract/row.js";
import { ValidationError, type ValidationIssue } from "../errors.js";
import type { RecordInput } from "./record-values.js";
import type { SessionState } from "../state/session.js";

/** What every hook is told. */
export interface HookEvent {
  /** The call: `saveTurn`, `deleteSession`. */
  readonly operation: string;
  readonly sessionId: string;
  /** Aborted when the hook has taken longer than `deadlineMs`. */
  readonly signal: AbortSignal;
}

/** A write of a state, of messages, of collected data, or of a status. */
export interface SaveEvent<TData = unknown> extends HookEvent {
  /** The application's object; absent for calls that are given none. */
  readonly session?: SessionState<TData> | undefined;
  readonly messages: readonly Message[];
  /** Records of the session that are written, with a turn or alone; absent where there are none. */
  readonly records?: readonly RecordInput[] | undefined;
  /** Present where it is set. */
  readonly status?: SessionStatus | undefined;
}

/** A state that is about to be stored: a copy. */
export interface ValidateEvent<TData = unknown> extends HookEvent {
  readonly session: SessionState<TData>;
}

/** What was read. */
export interface LoadedEvent<TData = unknown> extends HookEvent {
  /** Absent where only messages were asked for. */
  readonly session?: SessionState<TData> | undefined;
  readonly messages: readonly StoredMessage[];
}

/**
 * Functions that are called around what the manager does. Those before and after are waited for, up to `deadlineMs`: one that
 * throws or takes longer fails the call with `HOOK_FAILED`.
 *
 * Hooks before a save or delete, and `validate`, run one at a time for a session, in the order of the calls. So they may not
 * wait for a save or delete of the same session; hooks after may.
 */
export interface PersistenceHooks<TData = unknown> {
  /** A throw refuses the save: nothing is written. */
  readonly beforeSave?: ((event: SaveEvent<TData>) => void | Promise<void>) | undefined;
  /** What was saved is stored, whatever happens here. */
  readonly afterSave?: ((event: SaveEvent<TData>) => void | Promise<void>) | undefined;
  /**
   * Looks at each state that is about to be stored, also at one that was merged with somebody else's. May change
   * `event.session`, and that is what is stored and what the application's object becomes; issues that it returns refuse the
   * state (`INVALID_STATE`). The schema is asked after it.
   */
  readonly validate?:
    ((event: ValidateEvent<TData>) => ValidationResult | Promise<ValidationResult>) | undefined;
  readonly beforeLoad?: ((event: HookEvent) => void | Promise<void>) | undefined;
  /** Only where something was found. May change `event.session`. */
  readonly afterLoad?: ((event: LoadedEvent<TData>) => void | Promise<void>) | undefined;
  /** A throw refuses the delete. */
  readonly beforeDelete?: ((event: HookEvent) => void | Promise<void>) | undefined;
  /** Only where there was something to delete. */
  readonly afterDelete?: ((event: HookEvent) => void | Promise<void>) | undefined;
  /** Told of every call that failed. Not waited for; what it throws is ignored. */
  readonly onError?: ((event: FailureEvent) => void) | undefined;
  /** Told of every call that took `slowMs` or longer, when it has ended. Not waited for; what it throws is ignored. */
  readonly onSlow?: ((event: SlowEvent) => void) | undefined;
}

/** Issues refuse; nothing, or none, accepts. */
export type ValidationResult = readonly ValidationIssue[] | void;

/** A call that failed. */
export interface FailureEvent {
  readonly operation: string;
  readonly sessionId?: string | undefined;
  readonly error: unknown;
}

/** A call that took long. */
export interface SlowEvent {
  readonly operation: string;
  readonly sessionId?: string | undefined;
  readonly durationMs: number;
  readonly thresholdMs: number;
}

const hookNames: Record<keyof PersistenceHooks, true> = {
  beforeSave: true,
  afterSave: true,
  validate: true,
  beforeLoad: true,
  afterLoad: true,
  beforeDelete: true,
  afterDelete: true,
  onError: true,
  onSlow: true,
};

/** What becomes of a call when this hook fails. */
export function consequenceOf(name: string): string {
  if (name === "afterSave") return "what was saved is stored";
  if (name === "afterDelete") return "the session is deleted";
  return name.endsWith("Load") ? "nothing was changed" : "nothing was written";
}

/** A hook that is spelled otherwise would never be called. @throws ValidationError `INVALID_CONFIGURATION` */
export function checkHooks(
  hooks: object,
  names: object = hookNames,
  operation = "new PersistenceManager",
): void {
  const entries: [string, unknown][] = Object.entries(hooks);
  const wrong = entries.find(
    ([name, hook]) => !Object.hasOwn(names, name) || (hook !== undefined && typeof hook !== "function"),
  );
  if (wrong === undefined) return;
  const known = Object.keys(names).join(", ");
  const message = `${operation}: \`hooks.${wrong[0]}\` is not a function of one of these names: ${known}`;
  throw new ValidationError("INVALID_CONFIGURATION", message, { operation });
}
