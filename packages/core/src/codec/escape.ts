/** Begins every tag and every escaped key. */
export const mark = "~";
/** Begins an escaped key; no tag begins with it. */
export const escapedKeyPrefix = "~k";
/** In UTF-16 units of the stored form: below the 65,535 bytes that MySQL takes. */
export const longestKey = 16_384;

const hostileText = /[~\0\p{Surrogate}]/gu;
const hostileKeyPart = /[~.\0\p{Surrogate}]/gu;
/** Empty or blank, an operator, a tag, a path, or not storable as text. */
const hostileKey = /^[~$]|^\s*$|[.\0\p{Surrogate}]/u;

/** Names that a driver or a merge would take for more than data. All of `Object.prototype` is here, so assigning is safe. */
const reservedKeys: ReadonlySet<string> = new Set([
  "__proto__",
  "constructor",
  "prototype",
  "hasOwnProperty",
  "isPrototypeOf",
  "propertyIsEnumerable",
  "toLocaleString",
  "toString",
  "valueOf",
  "__defineGetter__",
  "__defineSetter__",
  "__lookupGetter__",
  "__lookupSetter__",
  "toJSON",
  "toBSON",
  "_bsontype",
]);

/** Bounded: keys can come from people, and field names of a program are few. */
const knownKeys = new Map<string, string>();
const knownKeysLimit = 1_000;
const knownKeyLength = 64;

/** The key as it is stored: itself, unless some store, driver or this codec would read it as something else. */
export function escapeKey(key: string): string {
  const known = knownKeys.get(key);
  if (known !== undefined) return known;
  const stored =
    hostileKey.test(key) || reservedKeys.has(key)
      ? escapedKeyPrefix + key.replace(hostileKeyPart, escapeMatch)
      : key;
  if (key.length <= knownKeyLength) {
    if (knownKeys.size >= knownKeysLimit) knownKeys.clear();
    knownKeys.set(key, stored);
  }
  return stored;
}

/** Text of any code units as well-formed text; `~` and four hex digits stand for one unit. */
export function escapeText(text: string): string {
  return text.replace(hostileText, escapeMatch);
}

/** The inverse of the two above, without the key's prefix. Null where it is not an escaped text. */
export function unescapeText(text: string): string | null {
  if (!text.includes(mark)) return text;
  const parts = text.split(mark);
  let result = parts[0] ?? "";
  for (const part of parts.slice(1)) {
    if (!/^[0-9a-f]{4}/.test(part)) return null;
    result += String.fromCharCode(Number.parseInt(part.slice(0, 4), 16)) + part.slice(4);
  }
  return result;
}

function escapeMatch(unit: string): string {
  return mark + unit.charCodeAt(0).toString(16).padStart(4, "0");
}
