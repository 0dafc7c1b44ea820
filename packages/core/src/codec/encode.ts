import type { Json } from "../contract/json.js";
import { toBase64 } from "./base64.js";
import { isoText } from "./date.js";
import { escapeKey, escapeText, longestKey } from "./escape.js";
import { isBytes, kindOf, timeOf } from "./kind.js";
import { problemOf, refusal, tooDeep, type Walk } from "./refuse.js";
import { isStorableText } from "./text.js";

/** For whom something is encoded, so that an error can say where. */
export interface EncodeContext {
  /** The call, as a user would name it. */
  readonly operation: string;
  readonly sessionId?: string | undefined;
  /** Where the value stands in what is stored: begins the path in errors and counts as depth. */
  readonly path?: readonly string[] | undefined;
  /** Keys of the value itself that are left out, because they are kept elsewhere. */
  readonly omit?: ReadonlySet<string> | undefined;
}

/** MySQL and MongoDB stop at 100 levels; the row and what travels with it add a few. */
const deepest = 64;
/** A reference that is shared is written at each place: thirty small objects can stand for more than a machine holds. */
const mostContainers = 500_000;

/**
 * Turns a value into plain JSON that every store takes and that `decodeValue` turns back into an equal value. Ordinary JSON
 * stays as it is; a `Date`, `bigint`, `Map`, `Set`, `Uint8Array`, `NaN`, an infinity, `-0`, ill-formed text and an object
 * without a prototype become an object with one key that begins with `~`, and keys that a store would misread are escaped.
 * Properties that are `undefined` or not enumerable are left out, as are properties added to a `Uint8Array`. The result
 * shares no object with the value.
 * @throws ValidationError `INVALID_VALUE` for what cannot be kept (function, symbol, instance of a class, accessor, sparse
 * array, cycle …), `COMMIT_TOO_LARGE` beyond 64 levels of JSON. The message names the path, never the value.
 */
export function encodeValue(value: unknown, context: EncodeContext): Json {
  const path = [...(context.path ?? [])];
  const walk: Walk = {
    operation: context.operation,
    sessionId: context.sessionId,
    path,
    base: path.length,
    ancestors: [],
    containers: 0,
    refused: null,
  };
  try {
    return encode(value, walk, path.length, context.omit);
  } catch (error) {
    if (error === walk.refused) throw error;
    throw refusal(walk, { text: "cannot be read", cause: error });
  }
}

function encode(value: unknown, walk: Walk, depth: number, omit?: ReadonlySet<string>): Json {
  switch (typeof value) {
    case "string":
      return isStorableText(value) ? value : tag(walk, depth, "~string", escapeText(value));
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return tag(walk, depth, "~number", Object.is(value, -0) ? "-0" : String(value));
    case "boolean":
      return value;
    case "object":
      return value === null ? null : encodeObject(value, walk, depth, omit);
    case "undefined":
      return tag(walk, depth, "~undefined", true);
    case "bigint":
      return tag(walk, depth, "~bigint", String(value));
    default:
      throw refusal(walk, { text: `is a ${typeof value}` });
  }
}

function encodeObject(value: object, walk: Walk, depth: number, omit?: ReadonlySet<string>): Json {
  switch (kindOf(value)) {
    case "Object":
      return encodeRecord(value, walk, depth, omit);
    case "bare":
      return tag(walk, depth, "~bare", encodeRecord(value, walk, depth + 1, omit));
    case "Array":
      if (Array.isArray(value)) return encodeList(value, walk, depth);
      break;
    case "Date":
      refuseOwnKeys(value, walk);
      return tag(walk, depth, "~date", isoText(timeOf(value)));
    case "Map":
      return tag(walk, depth, "~map", encodeMap(value, walk, depth + 1));
    case "Set":
      return tag(walk, depth, "~set", encodeSet(value, walk, depth + 1));
    case "Uint8Array":
      if (isBytes(value)) return tag(walk, depth, "~bytes", toBase64(value));
      break;
    default:
  }
  throw refusal(walk, problemOf(value));
}

function encodeRecord(value: object, walk: Walk, depth: number, omit?: ReadonlySet<string>): Json {
  refuseSymbolKeys(value, walk);
  const at = enter(value, walk, depth);
  const result: Record<string, Json> = {};
  for (const key of Object.keys(value)) {
    if (omit?.has(key) === true) continue;
    walk.path[at] = key;
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    const item: unknown = descriptor?.value;
    if (item === undefined) {
      refuseAccessor(descriptor, walk);
      continue;
    }
    const stored = escapeKey(key);
    if (stored.length > longestKey)
      throw refusal(walk, { text: `has a name longer than ${longestKey} characters` });
    result[stored] = encode(item, walk, depth + 1);
  }
  walk.ancestors.pop();
  return result;
}

function encodeList(value: readonly unknown[], walk: Walk, depth: number): Json {
  refuseSymbolKeys(value, walk);
  const at = enter(value, walk, depth);
  const result: Json[] = [];
  for (let i = 0; i < value.length; i++) {
    walk.path[at] = i;
    const descriptor = Object.getOwnPropertyDescriptor(value, i);
    if (descriptor === undefined) throw refusal(walk, { text: "is missing: the array is sparse" });
    const item: unknown = descriptor.value;
    if (item === undefined) refuseAccessor(descriptor, walk);
    result.push(encode(item, walk, depth + 1));
  }
  const extra = Object.keys(value)[value.length];
  if (extra !== undefined) {
    walk.path[at] = extra;
    throw refusal(walk, { text: "is a named property of an array, which would be lost" });
  }
  walk.ancestors.pop();
  return result;
}

const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;

function encodeMap(value: object, walk: Walk, depth: number): Json {
  refuseOwnKeys(value, walk);
  const at = enter(value, walk, depth);
  const pairs: Json[] = [];
  mapForEach.call(value, (item, key) => {
    if (depth + 1 >= deepest) throw tooDeep(walk, null, deepest);
    walk.path[at] = `${pairs.length}.key`;
    const storedKey = encode(key, walk, depth + 2);
    walk.path[at] = `${pairs.length}.value`;
    pairs.push([storedKey, encode(item, walk, depth + 2)]);
  });
  walk.ancestors.pop();
  return pairs;
}

function encodeSet(value: object, walk: Walk, depth: number): Json {
  refuseOwnKeys(value, walk);
  const at = enter(value, walk, depth);
  const items: Json[] = [];
  setForEach.call(value, (item) => {
    walk.path[at] = items.length;
    items.push(encode(item, walk, depth + 1));
  });
  walk.ancestors.pop();
  return items;
}

/** Returns where the path has the names of what is inside. */
function enter(value: object, walk: Walk, depth: number): number {
  if (depth >= deepest) throw tooDeep(walk, value, deepest);
  if (++walk.containers > mostContainers) {
    throw refusal(walk, { text: `makes more than ${mostContainers} objects and arrays` }, "COMMIT_TOO_LARGE");
  }
  return walk.base + walk.ancestors.push(value) - 1;
}

function tag(walk: Walk, depth: number, name: string, payload: Json): Json {
  if (depth >= deepest) throw tooDeep(walk, null, deepest);
  return { [name]: payload };
}

function refuseAccessor(descriptor: PropertyDescriptor | undefined, walk: Walk): void {
  if (descriptor?.get === undefined && descriptor?.set === undefined) return;
  throw refusal(walk, { text: "is a getter or setter; store its value" });
}

function refuseSymbolKeys(value: object, walk: Walk): void {
  const symbols = Object.getOwnPropertySymbols(value);
  if (symbols.length === 0) return;
  if (symbols.some((symbol) => Object.getOwnPropertyDescriptor(value, symbol)?.enumerable === true)) {
    throw refusal(walk, { text: "has a symbol as a key" });
  }
}

function refuseOwnKeys(value: object, walk: Walk): void {
  if (Reflect.ownKeys(value).length === 0) return;
  throw refusal(walk, { text: `has properties of its own on a ${kindOf(value)}, which would be lost` });
}
