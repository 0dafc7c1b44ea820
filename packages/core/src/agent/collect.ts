import { encodeValue } from "../codec/encode.js";
import { jsonEqual } from "../codec/equal.js";
import { type Schema, validateField } from "../state/schema.js";
import type { RefusedValue } from "./provider.js";

/** What became of the values of one answer. */
export interface Collected {
  readonly accepted: ReadonlyMap<string, unknown>;
  readonly refused: readonly RefusedValue[];
}

/**
 * Checks the values that the model found, each by its field's schema. Models write null for what was not said, so null
 * counts as absent unless the schema takes it.
 */
export async function checkValues(
  data: Readonly<Record<string, unknown>>,
  fields: ReadonlySet<string>,
  schema: Schema | undefined,
): Promise<Collected> {
  const accepted = new Map<string, unknown>();
  const refused: RefusedValue[] = [];
  for (const [field, value] of Object.entries(data)) {
    if (value === undefined || !fields.has(field)) continue;
    const result =
      schema === undefined ? { value: value ?? undefined } : await validateField(schema, field, value);
    if (result.issues === undefined) {
      if (result.value !== undefined) accepted.set(field, result.value);
    } else if (value !== null) {
      refused.push({ field, value, problems: result.issues.map(({ message }) => message) });
    }
  }
  return { accepted, refused };
}

/** Whether an answer that was made knowing `known` could not know of one of `refused`. */
export function isNews(refused: readonly RefusedValue[], known: readonly RefusedValue[]): boolean {
  return refused.some(
    ({ field, value }) => !known.some((one) => one.field === field && isSame(one.value, value)),
  );
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object") return false;
  try {
    // Each answer has objects of its own.
    const context = { operation: "respond" };
    return jsonEqual(encodeValue(a, context), encodeValue(b, context));
  } catch {
    return false;
  }
}
