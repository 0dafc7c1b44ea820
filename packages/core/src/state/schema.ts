import { type EncodeContext, encodeValue } from "../codec/encode.js";
import { jsonEqual } from "../codec/equal.js";
import { type ErrorDetails, ValidationError, type ValidationIssue } from "../errors.js";
import type { InferOutput, StandardIssue, StandardResult, StandardSchemaV1 } from "./standard-schema.js";

/** The fields that a conversation can collect, each with a schema of any library that speaks Standard Schema. */
export type Schema = Readonly<Record<string, StandardSchemaV1>>;

/** The data that a schema describes: what its fields give, not what they take. */
export type InferData<S extends Schema> = { -readonly [K in keyof S]: InferOutput<S[K]> };

/** A schema for data of a known type; where the type is not known, it is inferred from the schema. */
export type FieldSchemas<TData> = { readonly [K in keyof TData]: StandardSchemaV1<unknown, TData[K]> };

/** What validating one field gave. The path of an issue begins with `data` and the field. */
export type FieldResult =
  { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly ValidationIssue[] };

type Details = Pick<ErrorDetails, "operation" | "sessionId">;

/**
 * Validates a value for a field and gives what is to be stored. A field that the schema does not name is taken as it is.
 * Never throws: a validator that does makes an issue without the value. Issues carry the validator's own words, and some
 * libraries quote the value in them. A promise only where the validator gives one.
 */
export function validateField(
  schema: Schema,
  name: string,
  value: unknown,
): FieldResult | Promise<FieldResult> {
  const field = Object.hasOwn(schema, name) ? schema[name] : undefined;
  if (field === undefined) return { value };
  try {
    const result = field["~standard"].validate(value);
    if (!isPromise(result)) return fieldResult(name, result);
    return Promise.resolve(result)
      .then((settled) => fieldResult(name, settled))
      .catch((error: unknown) => broken(name, error));
  } catch (error) {
    return broken(name, error);
  }
}

/**
 * Checks collected data before a save and after a load, field by field: what is absent, `undefined` or not named by the
 * schema is not looked at. Changes nothing. Each schema has to accept its own output and give it back equal, since what is
 * stored is what it gave. A promise only where a validator gives one.
 * @throws ValidationError `INVALID_STATE`; `issues` names each field that is refused or would be changed.
 */
export function validateData(schema: Schema, data: object, details: Details): void | Promise<void> {
  const issues: ValidationIssue[] = [];
  const waiting: Promise<void>[] = [];
  const fields: [string, unknown][] = Object.entries(data);
  for (const [name, value] of fields) {
    if (value === undefined) continue;
    const result = validateField(schema, name, value);
    if (isPromise(result))
      waiting.push(result.then((settled) => judge(issues, name, value, settled, details)));
    else judge(issues, name, value, result, details);
  }
  if (waiting.length === 0) return refuse(issues, details);
  return Promise.all(waiting).then(() => refuse(issues, details));
}

function judge(
  issues: ValidationIssue[],
  name: string,
  value: unknown,
  result: FieldResult,
  details: Details,
): void {
  if (result.issues !== undefined) {
    issues.push(...result.issues);
    return;
  }
  if (Object.is(value, result.value)) return;
  const path = ["data", name];
  try {
    if (!isEqual(value, result.value, { ...details, path })) issues.push({ path, message: changed });
  } catch (error) {
    // What cannot be encoded cannot be stored; it stands in one list with what the schema refused.
    if (!(error instanceof ValidationError)) throw error;
    issues.push(...error.issues);
  }
}

const changed =
  "the schema turns this value into another one, so it cannot be checked again after it is stored; store what the schema " +
  "gives, and let the schema accept that unchanged (a schema that transforms, such as text to its length, does not)";

function isEqual(value: unknown, output: unknown, context: EncodeContext): boolean {
  if (typeof value !== "object" || typeof output !== "object") return false;
  return jsonEqual(encodeValue(value, context), encodeValue(output, context));
}

function refuse(issues: readonly ValidationIssue[], details: Details): void {
  if (issues.length === 0) return;
  const fields = [...new Set(issues.map((issue) => issue.path[1]))]
    .map((field) => JSON.stringify(field))
    .join(", ");
  throw new ValidationError(
    "INVALID_STATE",
    `${details.operation}: data does not match its schema in ${fields}; see \`issues\``,
    {
      ...details,
      issues,
    },
  );
}

function fieldResult(name: string, result: StandardResult<unknown>): FieldResult {
  if (typeof result !== "object" || result === null) return broken(name, result);
  if (result.issues === undefined) return { value: result.value };
  // Not `map`: the lists of arktype are subclasses of Array whose `map` gives something else.
  return {
    issues: Array.from(result.issues, (issue) => ({ path: pathOf(name, issue), message: issue.message })),
  };
}

function pathOf(name: string, issue: StandardIssue): string[] {
  return [
    "data",
    name,
    ...Array.from(issue.path ?? [], (part) => String(typeof part === "object" ? part.key : part)),
  ];
}

function broken(name: string, error: unknown): FieldResult {
  const kind = error instanceof Error ? error.name : typeof error;
  return {
    issues: [{ path: ["data", name], message: `the validator of this field failed by itself (${kind})` }],
  };
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return value instanceof Promise || (typeof value === "object" && value !== null && "then" in value);
}
