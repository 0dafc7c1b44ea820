import assert from "node:assert/strict";

/** Asserts that plain data is equal, whatever the order of keys and the realm of its objects. */
export function assertSame(actual: unknown, expected: unknown, what: string): void {
  const difference = differenceOf(actual, expected, "");
  if (difference !== null) assert.fail(`${what}: ${difference}`);
}

/** Where two values differ first, in words; null where they do not. */
export function differenceOf(actual: unknown, expected: unknown, path: string): string | null {
  if (Object.is(actual, expected)) return null;
  const where = path === "" ? "it" : `\`${path}\``;
  if (!isContainer(actual) || !isContainer(expected))
    return `${where} is ${show(actual)}, not ${show(expected)}`;
  if (Array.isArray(actual) !== Array.isArray(expected))
    return `${where} is ${show(actual)}, not ${show(expected)}`;
  if (Array.isArray(actual) && Array.isArray(expected) && actual.length !== expected.length)
    return `${where} has ${actual.length} items, not ${expected.length}: ${show(actual)}, not ${show(expected)}`;
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  for (const key of keys) {
    const inside = path === "" ? key : `${path}.${key}`;
    if (!Object.hasOwn(actual, key)) return `\`${inside}\` is missing`;
    if (!Object.hasOwn(expected, key)) return `\`${inside}\` is there and should not be`;
    const difference = differenceOf(Reflect.get(actual, key), Reflect.get(expected, key), inside);
    if (difference !== null) return difference;
  }
  return Object.prototype.toString.call(actual) === Object.prototype.toString.call(expected)
    ? null
    : `${where} is ${Object.prototype.toString.call(actual)}`;
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** A value as a short text, for a message. */
export function show(value: unknown): string {
  const text = typeof value === "bigint" ? `${value}n` : (JSON.stringify(value) ?? String(value));
  return text.length > 160 ? `${text.slice(0, 150)}… (${text.length} characters)` : text;
}
