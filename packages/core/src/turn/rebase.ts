import { jsonEqual } from "../codec/equal.js";
import type { Json } from "../contract/json.js";

type JsonObject = { readonly [key: string]: Json };

/** Parts of a state that are compared key by key, to this depth; all else of a state is compared whole. */
const keyedParts: readonly (readonly [part: string, depth: number])[] = [
  ["data", 1],
  ["dataByRoute", 2],
  ["metadata", 1],
];

/** Parts that mean something only together: both sides changing one of a group is a conflict. */
const wholeParts: readonly (readonly string[])[] = [
  ["currentRoute", "currentStep"],
  ["routeHistory", "historyBefore"],
  ["visible"],
];

export type Rebased =
  | { readonly state: Json; readonly keys?: undefined }
  /** The keys that both sides changed, differently. */
  | { readonly state?: undefined; readonly keys: readonly string[] };

/**
 * Puts the changes from `before` to `here` on top of `there`. Keys changed only here and keys changed only there are both
 * kept; the same change made by both is one change.
 * @param both what to do where both changed a key differently: name it, or let the later change (`here`) win.
 */
export function rebase(
  before: Json,
  here: Json,
  there: Json,
  both: "conflict" | "mine" = "conflict",
): Rebased {
  const [from, ours, others] = [asObject(before), asObject(here), asObject(there)];
  const merged: { [key: string]: Json } = { ...others };
  const keys: string[] = [];
  for (const [part, depth] of keyedParts) {
    // A part that is empty may be left out of the state.
    const [base, mine, theirs] = [from[part] ?? {}, ours[part] ?? {}, others[part] ?? {}];
    put(merged, part, mergeKeys(base, mine, theirs, depth, part, keys, both));
  }
  if (jsonEqual(merged["metadata"] ?? {}, {})) delete merged["metadata"];
  for (const group of wholeParts) {
    if (group.every((part) => isSame(ours[part], from[part]))) continue;
    const changedThere = group.some((part) => !isSame(others[part], from[part]));
    const isAgreed = group.every((part) => isSame(ours[part], others[part]));
    if (changedThere && !isAgreed && both === "conflict") keys.push(group.join(" and "));
    else for (const part of group) put(merged, part, ours[part]);
  }
  return keys.length > 0 ? { keys } : { state: merged };
}

function mergeKeys(
  base: Json | undefined,
  mine: Json | undefined,
  theirs: Json | undefined,
  depth: number,
  path: string,
  keys: string[],
  both: "conflict" | "mine",
): Json | undefined {
  if (isSame(mine, base)) return theirs;
  if (isSame(theirs, base) || isSame(mine, theirs)) return mine;
  if (depth > 0 && isObject(mine) && isObject(theirs)) {
    const from = asObject(base);
    const merged: { [key: string]: Json } = { ...theirs };
    for (const key of new Set([...Object.keys(from), ...Object.keys(mine)])) {
      const value = mergeKeys(
        get(from, key),
        get(mine, key),
        get(theirs, key),
        depth - 1,
        `${path}.${key}`,
        keys,
        both,
      );
      put(merged, key, value);
    }
    return merged;
  }
  if (both === "conflict") keys.push(path);
  return mine;
}

function put(target: { [key: string]: Json }, key: string, value: Json | undefined): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}

function isSame(a: Json | undefined, b: Json | undefined): boolean {
  return a === undefined || b === undefined ? a === b : jsonEqual(a, b);
}

/** Own keys only: a field may be called `toString`. */
function get(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function asObject(value: Json | undefined): JsonObject {
  return value !== undefined && isObject(value) ? value : {};
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
