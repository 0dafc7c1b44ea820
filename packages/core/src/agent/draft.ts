import { encodeValue } from "../codec/encode.js";
import { jsonEqual } from "../codec/equal.js";
import { setOwn } from "../codec/own.js";
import { ValidationError, type ValidationIssue } from "../errors.js";
import type { SessionState } from "../state/session.js";
import { isStateShape } from "../state/shape.js";

/** A copy that a turn works on, so that a turn that fails has changed nothing. Collected values themselves are shared. */
export function draftOf<TData>(session: SessionState<TData>): SessionState<TData> {
  checkState(session);
  const dataByRoute: SessionState<TData>["dataByRoute"] = {};
  for (const [routeId, part] of Object.entries(session.dataByRoute))
    setOwn(dataByRoute, routeId, { ...part });
  return {
    ...session,
    data: { ...session.data },
    dataByRoute,
    routeHistory: session.routeHistory.map((entry) => ({ ...entry })),
    ...(session.metadata === undefined ? {} : { metadata: { ...session.metadata } }),
  };
}

/**
 * Puts into the session what the turn changed from `base` to `draft`. What the application changed meanwhile stays, and the
 * object and its parts stay the same objects: the application may hold them.
 */
export function applyDraft<TData>(
  session: SessionState<TData>,
  base: SessionState<TData>,
  draft: SessionState<TData>,
): void {
  applyKeys(session.data, base.data, draft.data);
  for (const routeId of keysOf(base.dataByRoute, draft.dataByRoute)) {
    const part = getOwn(draft.dataByRoute, routeId);
    if (part === undefined) {
      Reflect.deleteProperty(session.dataByRoute, routeId);
    } else {
      const here = getOwn(session.dataByRoute, routeId);
      if (here === undefined) setOwn(session.dataByRoute, routeId, part);
      else applyKeys(here, getOwn(base.dataByRoute, routeId) ?? {}, part);
    }
  }
  if (!isSame(base.routeHistory, draft.routeHistory)) {
    session.routeHistory.splice(0, base.routeHistory.length, ...draft.routeHistory);
  }
  if (draft.metadata !== undefined) applyKeys((session.metadata ??= {}), base.metadata ?? {}, draft.metadata);
  if (isSame([base.currentRoute, base.currentStep], [draft.currentRoute, draft.currentStep])) return;
  if (draft.currentRoute === undefined) delete session.currentRoute;
  else session.currentRoute = draft.currentRoute;
  if (draft.currentStep === undefined) delete session.currentStep;
  else session.currentStep = draft.currentStep;
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  const context = { operation: "respond" };
  return jsonEqual(encodeValue(a, context), encodeValue(b, context));
}

function applyKeys(target: object, base: object, draft: object): void {
  for (const key of keysOf(base, draft)) {
    if (!Object.hasOwn(draft, key)) Reflect.deleteProperty(target, key);
    else if (!Object.hasOwn(base, key) || !Object.is(Reflect.get(base, key), Reflect.get(draft, key))) {
      setOwn(target, key, Reflect.get(draft, key));
    }
  }
}

function keysOf(a: object, b: object): Set<string> {
  return new Set([...Object.keys(a), ...Object.keys(b)]);
}

function getOwn<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function checkState<TData>(session: SessionState<TData>): void {
  const issues: ValidationIssue[] = [];
  if (isStateShape<TData>({ ...session }, issues)) return;
  const list = issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; ");
  const message = `respond: \`session\` is not a session state, make one with \`createSession()\`: ${list}`;
  throw new ValidationError("INVALID_ARGUMENT", message, {
    operation: "respond",
    sessionId: session?.id,
    issues,
  });
}
