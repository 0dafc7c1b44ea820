import type { Json } from "../contract/json.js";
import { StorageError } from "../errors.js";
import { fromBase64 } from "./base64.js";
import { dateFromText } from "./date.js";
import { escapedKeyPrefix, mark, unescapeText } from "./escape.js";
import { setOwn } from "./own.js";

/** For whom something is decoded, so that an error can say where. */
export interface DecodeContext {
  /** The call, as a user would name it. */
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** Far above what the encoder writes; keeps hostile contents from using up the stack. */
const deepest = 512;
const markCode = mark.charCodeAt(0);
const wholeNumber = /^(?:0|-?[1-9]\d*)$/;
const numbers: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

/**
 * The value that `encodeValue` made this JSON from. Shares no object with the JSON.
 * @throws StorageError `STORAGE_DAMAGED` for JSON that the encoder does not write. The message has none of the contents.
 */
export function decodeValue(json: Json, context: DecodeContext): unknown {
  return decode(json, context, 0);
}

function decode(json: Json, context: DecodeContext, depth: number): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (depth > deepest) throw damaged(context, "is nested too deep");
  if (isList(json)) return json.map((item) => decode(item, context, depth + 1));
  const keys = Object.keys(json);
  const first = keys[0];
  if (keys.length === 1 && first !== undefined && isTag(first))
    return decodeTag(first, json[first], context, depth + 1);
  return decodeRecord(json, keys, {}, context, depth + 1);
}

function decodeRecord(
  json: { readonly [key: string]: Json },
  keys: readonly string[],
  result: Record<string, unknown>,
  context: DecodeContext,
  depth: number,
): unknown {
  for (const stored of keys) {
    const item = decode(json[stored] ?? null, context, depth);
    if (stored.charCodeAt(0) === markCode) setOwn(result, unescapedKey(stored, context), item);
    else if (stored in result) setOwn(result, stored, item);
    else result[stored] = item;
  }
  return result;
}

function decodeTag(name: string, payload: Json | undefined, context: DecodeContext, depth: number): unknown {
  const value = payload === undefined ? null : tagged(name, payload, context, depth);
  if (value === null) throw damaged(context, "has a malformed value");
  return value.value;
}

/** What a tag stands for, or null where its payload is not of the encoder's making. */
function tagged(
  name: string,
  payload: Json,
  context: DecodeContext,
  depth: number,
): { value: unknown } | null {
  switch (name) {
    case "~date":
      return made(dateFromText(payload));
    case "~bigint":
      return typeof payload === "string" && wholeNumber.test(payload) ? { value: BigInt(payload) } : null;
    case "~number":
      return made(numbers.get(payload));
    case "~string":
      return typeof payload === "string" ? made(unescapeText(payload)) : null;
    case "~undefined":
      return payload === true ? { value: undefined } : null;
    case "~bytes":
      return typeof payload === "string" ? made(fromBase64(payload)) : null;
    case "~bare": {
      if (typeof payload !== "object" || payload === null || isList(payload)) return null;
      return { value: decodeRecord(payload, Object.keys(payload), Object.create(null), context, depth + 1) };
    }
    case "~set": {
      if (!isList(payload)) return null;
      const set = new Set(payload.map((item) => decode(item, context, depth + 1)));
      return set.size === payload.length ? { value: set } : null;
    }
    case "~map": {
      if (!isList(payload)) return null;
      const map = new Map<unknown, unknown>();
      for (const pair of payload) {
        if (!isList(pair)) return null;
        const [key, item] = pair;
        if (pair.length !== 2 || key === undefined || item === undefined) return null;
        map.set(decode(key, context, depth + 2), decode(item, context, depth + 2));
      }
      return map.size === payload.length ? { value: map } : null;
    }
    default:
      return null;
  }
}

function made(value: unknown): { value: unknown } | null {
  return value === null || value === undefined ? null : { value };
}

function isTag(key: string): boolean {
  return key.charCodeAt(0) === markCode && !key.startsWith(escapedKeyPrefix);
}

function unescapedKey(stored: string, context: DecodeContext): string {
  const key = stored.startsWith(escapedKeyPrefix)
    ? unescapeText(stored.slice(escapedKeyPrefix.length))
    : null;
  if (key === null) throw damaged(context, "has a malformed key");
  return key;
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

function damaged(context: DecodeContext, problem: string): StorageError {
  return new StorageError(
    "STORAGE_DAMAGED",
    `${context.operation}: what is stored ${problem}; it was left as it is`,
    context,
  );
}
