import { encodeValue } from "../codec/encode.js";
import { jsonEqual } from "../codec/equal.js";
import { setOwn } from "../codec/own.js";
import type { RouteHistoryEntry, SessionState } from "../state/session.js";

type Parts<TData> = Omit<SessionState<TData>, "id" | "version">;

/**
 * Writes into a live state what the stored one has besides what was passed in, so that the object is what its new version
 * says. What the application has changed meanwhile is left alone, as a change that is not saved yet.
 */
export function adopt<TData>(session: SessionState<TData>, from: Parts<TData>, to: Parts<TData>): void {
  adoptKeys(session.data, from.data, to.data);
  for (const route of keysOf(from.dataByRoute, to.dataByRoute)) {
    const before = getOwn(from.dataByRoute, route);
    const after = getOwn(to.dataByRoute, route);
    const here = getOwn(session.dataByRoute, route);
    if (typeof here === "object" && here !== null && after !== undefined) adoptKeys(here, before, after);
    else if (!isSame(before, after)) put(session.dataByRoute, route, after);
  }
  session.metadata ??= {};
  adoptKeys(session.metadata, withoutTimes(from.metadata), withoutTimes(to.metadata));
  adoptHistory(session.routeHistory, from.routeHistory, to.routeHistory);
  if (isSame(session.currentRoute, from.currentRoute) && isSame(session.currentStep, from.currentStep)) {
    put(session, "currentRoute", to.currentRoute);
    put(session, "currentStep", to.currentStep);
  }
}

/** What was saved becomes what is stored; what the application has added meanwhile stays behind it. */
function adoptHistory(
  live: RouteHistoryEntry[],
  from: readonly RouteHistoryEntry[],
  to: readonly RouteHistoryEntry[],
): void {
  if (isSame(from, to) || !isSame(live.slice(0, from.length), from)) return;
  const left = from.length - to.length;
  // Mostly the oldest have left, and the others are the objects that the application holds.
  if (left > 0 && isSame(from.slice(left), to)) live.splice(0, left);
  else live.splice(0, from.length, ...to);
}

function adoptKeys(target: object, from: unknown, to: unknown): void {
  for (const key of keysOf(from, to)) {
    const value = getOwn(to, key);
    const before = getOwn(from, key);
    if (!isSame(before, value) && isSame(getOwn(target, key), before)) put(target, key, value);
  }
}

function withoutTimes(metadata: object | undefined): object {
  return { ...metadata, createdAt: undefined, updatedAt: undefined };
}

function keysOf(a: unknown, b: unknown): Set<string> {
  return new Set([...Object.keys(Object(a)), ...Object.keys(Object(b))]);
}

function getOwn(object: unknown, key: string): unknown {
  return Object.getOwnPropertyDescriptor(Object(object), key)?.value;
}

function put(target: object, key: string, value: unknown): void {
  if (value === undefined) Reflect.deleteProperty(target, key);
  else setOwn(target, key, value);
}

function isSame(a: unknown, b: unknown): boolean {
  const context = { operation: "saveTurn" };
  return jsonEqual(encodeValue([a], context), encodeValue([b], context));
}
