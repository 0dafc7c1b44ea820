import { isPlainObject } from "../codec/kind.js";
import { setOwn } from "../codec/own.js";
import { ValidationError } from "../errors.js";
import type { RouteHistoryEntry, RouteRef, SessionState, StepRef } from "./session.js";

// These change the object in place: its identity is what ties a state to the version it was read at, so a copy would be a
// stranger to the next save.

/**
 * Enters a route: ends the stay in the present one, begins a new entry in the history, and leaves no step. Entering the
 * route that is current already is a new stay.
 * @param at default: now.
 */
export function enterRoute<TData>(
  session: SessionState<TData>,
  route: RouteRef,
  at: Date = new Date(),
): void {
  const open = openEntry(session);
  if (open !== undefined) open.exitedAt = at;
  session.routeHistory.push({ routeId: route.id, enteredAt: at, completed: false });
  session.currentRoute = { ...route };
  delete session.currentStep;
}

/**
 * Enters a step of the current route.
 * @throws ValidationError `INVALID_ARGUMENT` when there is no current route or the step names another one.
 */
export function enterStep<TData>(session: SessionState<TData>, step: StepRef): void {
  const routeId = session.currentRoute?.id;
  if (routeId === undefined) throw invalid("enterStep", "enter a route before one of its steps");
  if (step.routeId !== undefined && step.routeId !== routeId) {
    throw invalid(
      "enterStep",
      "the step belongs to another route than the current one; enter that route first",
    );
  }
  session.currentStep = { ...step, routeId };
}

/**
 * Completes the current route: its entry in the history is completed and ended, and the session stands in no route.
 * @param at default: now.
 * @throws ValidationError `INVALID_ARGUMENT` when there is no current route.
 */
export function completeRoute<TData>(session: SessionState<TData>, at: Date = new Date()): void {
  const routeId = session.currentRoute?.id;
  if (routeId === undefined) throw invalid("completeRoute", "there is no current route to complete");
  const open = openEntry(session);
  if (open !== undefined) open.exitedAt = at;
  if (open?.routeId === routeId) open.completed = true;
  // A position that was set by hand has no entry yet.
  else session.routeHistory.push({ routeId, enteredAt: at, exitedAt: at, completed: true });
  delete session.currentRoute;
  delete session.currentStep;
}

/**
 * Puts collected fields into `data` and into the part of `dataByRoute` that belongs to the route, key by key. Null is a
 * value; a field that is `undefined` is removed from both.
 * @param routeId default: the current route. Where there is none, only `data` changes.
 * @throws ValidationError `INVALID_ARGUMENT` when the patch is not a plain object.
 */
export function mergeCollected<TData>(
  session: SessionState<TData>,
  patch: Partial<TData>,
  routeId: string | undefined = session.currentRoute?.id,
): void {
  if (!isPlainObject(patch)) throw invalid("mergeCollected", "the patch must be a plain object of fields");
  mergeInto(session.data, patch);
  if (routeId === undefined) return;
  const known = Object.hasOwn(session.dataByRoute, routeId) ? session.dataByRoute[routeId] : undefined;
  const part: Partial<TData> = known ?? {};
  mergeInto(part, patch);
  if (known === undefined && Object.keys(part).length > 0) setOwn(session.dataByRoute, routeId, part);
}

function mergeInto(target: object, patch: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(patch)) {
    if (value !== undefined) setOwn(target, key, value);
    else if (!Reflect.deleteProperty(target, key))
      throw invalid("mergeCollected", "the session's data is frozen");
  }
}

/** Only the newest entry can be the present stay; when an older one ended is not known. */
function openEntry<TData>(session: SessionState<TData>): RouteHistoryEntry | undefined {
  const last = session.routeHistory.at(-1);
  return last?.exitedAt === undefined ? last : undefined;
}

function invalid(operation: string, message: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `${operation}: ${message}`, { operation });
}
