import type { Message } from "../contract/message.js";
import { SessionConflictError, ValidationError } from "../errors.js";
import { tell } from "../persistence/watch.js";
import type { SessionState } from "../state/session.js";

/** What a handle tells of, by name. */
export interface SessionEvents {
  /** A message was stored, by `chat` or `addMessage`; it has its sequence. */
  readonly messageAdded: Message;
  readonly cleared: { readonly removed: number };
  /** The state was stored; not for a conversation that is kept in memory. */
  readonly saved: { readonly version: string };
  /** By a turn, once for each route that was entered in it. */
  readonly routeEntered: { readonly route: string };
  /** By a turn: the step in which it ended, if that is another than before. */
  readonly stepEntered: { readonly route: string; readonly step: string };
  /** A call was refused since somebody else changed the session. The call throws all the same. */
  readonly conflict: SessionConflictError;
  /** A call that reads the state found that the session, which was there before, has come to its end. */
  readonly expired: { readonly at: Date };
}

/** Listeners of one handle. */
export interface Events {
  on<E extends keyof SessionEvents>(event: E, listener: (detail: SessionEvents[E]) => void): () => void;
  emit<E extends keyof SessionEvents>(event: E, detail: SessionEvents[E]): void;
}

type Listeners = { readonly [E in keyof SessionEvents]: Set<(detail: SessionEvents[E]) => void> };

export function createEvents(): Events {
  const listeners: Listeners = {
    messageAdded: new Set(),
    cleared: new Set(),
    saved: new Set(),
    routeEntered: new Set(),
    stepEntered: new Set(),
    conflict: new Set(),
    expired: new Set(),
  };
  return {
    on(event, listener) {
      if (!Object.hasOwn(listeners, event) || typeof listener !== "function") {
        const names = Object.keys(listeners).join(", ");
        throw new ValidationError("INVALID_ARGUMENT", `on: a function is wanted for one of ${names}`, {
          operation: "on",
        });
      }
      const own: typeof listener = (detail) => listener(detail);
      listeners[event].add(own);
      return () => void listeners[event].delete(own);
    },
    emit(event, detail) {
      for (const listener of [...listeners[event]]) tell(() => listener(detail));
    },
  };
}

/** Where a session stands, for comparison: the object itself changes. */
export interface Position {
  readonly route: string | undefined;
  readonly step: string | undefined;
  readonly newest: { readonly routeId: string; readonly time: number } | undefined;
}

export function positionOf<TData>({
  currentStep,
  currentRoute,
  routeHistory,
}: SessionState<TData>): Position {
  const last = routeHistory.at(-1);
  return {
    route: currentRoute?.id,
    step: currentStep?.id,
    newest: last && { routeId: last.routeId, time: last.enteredAt.getTime() },
  };
}

/** Tells which routes and which step were entered since. */
export function emitEntered<TData>(
  { emit }: Pick<Events, "emit">,
  before: Position,
  session: SessionState<TData>,
): void {
  const { routeHistory, currentRoute, currentStep } = session;
  const { newest } = before;
  const known = routeHistory.findLastIndex(
    ({ routeId, enteredAt }) => routeId === newest?.routeId && enteredAt.getTime() === newest.time,
  );
  for (const { routeId } of routeHistory.slice(known + 1)) emit("routeEntered", { route: routeId });
  if (currentRoute === undefined || currentStep === undefined) return;
  const isNew = known + 1 < routeHistory.length || currentStep.id !== before.step;
  if (isNew) emit("stepEntered", { route: currentRoute.id, step: currentStep.id });
}

/** The conflict that a call failed with, itself or as what kept a turn from being stored. */
export function conflictOf(error: unknown): SessionConflictError | undefined {
  if (error instanceof SessionConflictError) return error;
  return error instanceof Error && error.cause instanceof SessionConflictError ? error.cause : undefined;
}
