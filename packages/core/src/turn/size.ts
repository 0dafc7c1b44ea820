import type { Json } from "../contract/json.js";
import { utf8Length } from "../contract/id.js";

/** Bytes of the JSON of a value, in UTF-8; exact only when it may be more than `limit`, otherwise an upper bound. */
export function jsonBytes(value: Json, limit: number): number {
  const bound = upperBound(value);
  return bound <= limit ? bound : utf8Length(JSON.stringify(value));
}

/** A unit takes at most 6 bytes (an escape), a number at most 25; commas, colons and brackets are counted with each value. */
function upperBound(value: Json): number {
  if (typeof value === "string") return value.length * 6 + 3;
  if (typeof value !== "object" || value === null) return 26;
  let bytes = 3;
  if (isList(value)) {
    for (const item of value) bytes += upperBound(item);
    return bytes;
  }
  for (const key of Object.keys(value)) bytes += key.length * 6 + 3 + upperBound(value[key] ?? null);
  return bytes;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
