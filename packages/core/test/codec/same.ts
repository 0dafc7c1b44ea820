/** Strict equality of values of any depth: tells -0 from 0, compares prototypes and own keys, `__proto__` among them. */
export function difference(a: unknown, b: unknown, path = "value"): string | null {
  if (Object.is(a, b)) return null;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return `${path} differs`;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path} has another prototype`;
  if (a instanceof Date && b instanceof Date)
    return Object.is(a.getTime(), b.getTime()) ? null : `${path}: time`;
  if (a instanceof Map && b instanceof Map) return differenceOfLists([...a].flat(), [...b].flat(), path);
  if (a instanceof Set && b instanceof Set) return differenceOfLists([...a], [...b], path);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return differenceOfLists([...a], [...b], path);
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return `${path}: length`;
  const keys = definedKeys(a);
  const others = definedKeys(b);
  if (keys.length !== others.length) return `${path}: keys`;
  for (const [index, key] of keys.entries()) {
    if (others[index] !== key) return `${path}: order of keys`;
    const inner = difference(own(a, key), own(b, key), `${path}[${JSON.stringify(key)}]`);
    if (inner !== null) return inner;
  }
  return null;
}

function differenceOfLists(a: readonly unknown[], b: readonly unknown[], path: string): string | null {
  if (a.length !== b.length) return `${path}: length`;
  for (const [index, item] of a.entries()) {
    const inner = difference(item, b[index], `${path}(${index})`);
    if (inner !== null) return inner;
  }
  return null;
}

/** Properties of objects that are undefined are dropped by design; those of arrays are not. */
function definedKeys(value: object): string[] {
  const keys = Object.keys(value);
  return Array.isArray(value) ? keys : keys.filter((key) => own(value, key) !== undefined);
}

function own(value: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}

/** What some store would refuse or change in a piece of JSON, or null. Written without the code under test. */
export function illegal(json: unknown, levels = 0): string | null {
  switch (typeof json) {
    case "boolean":
      return null;
    case "string":
      return illFormed(json) ? "ill-formed text" : null;
    case "number":
      return Number.isFinite(json) && !Object.is(json, -0) ? null : "number that JSON does not have";
    case "object":
      break;
    default:
      return `a ${typeof json}`;
  }
  if (json === null) return null;
  if (levels >= 64) return "too deep";
  if (Array.isArray(json)) {
    if (Reflect.ownKeys(json).length !== json.length + 1) return "array with holes or more";
    return firstOf(json, (item) => illegal(item, levels + 1));
  }
  if (Object.getPrototypeOf(json) !== Object.prototype) return "not a plain object";
  return firstOf(Reflect.ownKeys(json), (key) => {
    if (typeof key !== "string") return "symbol key";
    if (key.trim() === "" || key.startsWith("$") || key.includes(".") || illFormed(key)) return "hostile key";
    if (key in Object.prototype || ["prototype", "_bsontype", "toJSON", "toBSON"].includes(key))
      return "reserved key";
    return illegal(own(json, key), levels + 1);
  });
}

function firstOf<T>(items: readonly T[], test: (item: T) => string | null): string | null {
  for (const item of items) {
    const found = test(item);
    if (found !== null) return found;
  }
  return null;
}

function illFormed(text: string): boolean {
  if (text.includes("\0")) return true;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point >= 0xd800 && point <= 0xdfff) return true;
  }
  return false;
}
