import { encodeValue } from "../codec/encode.js";
import { jsonEqual } from "../codec/equal.js";
import { setOwn } from "../codec/own.js";
import type { SessionState } from "../state/session.js";

type Parts<TData> = Omit<SessionState<TData>, "id" | "version">;

/**
 * Writes into a live state what the stored one has besides what was passed in, so that the object is what its new version
 * says. Keys that do not differ are left alone: the application may have changed them meanwhile.
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
  if (!isSame(from.routeHistory, to.routeHistory)) session.routeHistory = to.routeHistory;
  if (!isSame(from.currentRoute, to.currentRoute)) session.currentRoute = to.currentRoute;
  if (!isSame(from.currentStep, to.currentStep)) session.currentStep = to.currentStep;
}

function adoptKeys(target: object, from: unknown, to: unknown): void {
  for (const key of keysOf(from, to)) {
    const value = getOwn(to, key);
    if (!isSame(getOwn(from, key), value)) put(target, key, value);
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
