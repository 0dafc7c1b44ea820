import { type EncodeContext, encodeValue } from "../codec/encode.js";
import { jsonEqual } from "../codec/equal.js";
import { type ErrorDetails, ValidationError, type ValidationIssue } from "../errors.js";
import type { InferOutput, StandardIssue, StandardResult, StandardSchemaV1 } from "./standard-schema.js";

/**
 * The schema of one field, from any library that speaks Standard Schema: one schema for what comes in and for what is stored,
 * or one for each, where what comes in is turned into something that the same schema would not take again.
 */
export type FieldSchema<Output = unknown> =
  | StandardSchemaV1<unknown, Output>
  | {
      /** Takes what was said. */
      readonly input: StandardSchemaV1<unknown, Output>;
      /** Checks what `input` gave, at each load and save; it may not change it. */
      readonly stored: StandardSchemaV1<unknown, Output>;
    };

/** The fields that a conversation can collect. */
export type Schema = Readonly<Record<string, FieldSchema>>;

/** The data that a schema describes: what its fields give, not what they take. */
export type InferData<S extends Schema> = { -readonly [K in keyof S]: InferField<S[K]> };

type InferField<F extends FieldSchema> = F extends StandardSchemaV1
  ? InferOutput<F>
  : F extends { readonly input: infer Input extends StandardSchemaV1 }
    ? InferOutput<Input>
    : never;

/** A schema for data of a known type; where the type is not known, it is inferred from the schema. */
export type FieldSchemas<TData> = { readonly [K in keyof TData]: FieldSchema<TData[K]> };

/** What validating one field gave. The path of an issue begins with `data` and the field. */
export type FieldResult =
  { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly ValidationIssue[] };

type Details = Pick<ErrorDetails, "operation" | "sessionId">;

/** What a field takes in, and what of it is stored. */
type Use = "input" | "stored";

function schemaFor(schema: Schema, name: string, use: Use): StandardSchemaV1 | undefined {
  const field = Object.hasOwn(schema, name) ? schema[name] : undefined;
  return field === undefined || "~standard" in field ? field : field[use];
}

/**
 * Validates a value for a field and gives what is to be stored. A field that the schema does not name is taken as it is.
 * Never throws: a validator that does makes an issue without the value. Issues carry the validator's own words, and some
 * libraries quote the value in them. A promise only where the validator gives one.
 */
export function validateField(
  schema: Schema,
  name: string,
  value: unknown,
  use: Use = "input",
): FieldResult | Promise<FieldResult> {
  const field = schemaFor(schema, name, use);
  return field === undefined ? { value } : validate(field, ["data", name], value);
}

/** Validates data as a whole, whose issues then begin with `data` and mostly a field. @throws nothing, as for a field. */
export async function validateWhole(schema: StandardSchemaV1, data: object): Promise<FieldResult> {
  return validate(schema, ["data"], data);
}

function validate(
  schema: StandardSchemaV1,
  path: readonly string[],
  value: unknown,
): FieldResult | Promise<FieldResult> {
  try {
    const result = schema["~standard"].validate(value);
    if (!isPromise(result)) return fieldResult(path, result);
    return Promise.resolve(result)
      .then((settled) => fieldResult(path, settled))
      .catch((error: unknown) => broken(path, error));
  } catch (error) {
    return broken(path, error);
  }
}

/**
 * Checks what is collected before a save and after a load, field by field, in `data` and in each route's part of it: what is
 * absent, `undefined` or not named by the schema is not looked at. Changes nothing. Each schema has to accept its own output
 * and give it back equal, since what is stored is what it gave; a field may name another schema for what is stored. A promise
 * only where a validator gives one.
 * @throws ValidationError `INVALID_STATE`; `issues` names each field that is refused or would be changed.
 */
export function validateState(
  schema: Schema,
  { data, dataByRoute }: { readonly data: object; readonly dataByRoute: Readonly<Record<string, object>> },
  details: Details,
): void | Promise<void> {
  const issues: ValidationIssue[] = [];
  const waiting: Promise<void>[] = [];
  const check = (path: readonly string[], name: string, value: unknown) => {
    if (value === undefined) return;
    const judged = (result: FieldResult) => judge(issues, [...path, name], value, result, details);
    const result = validateField(schema, name, value, "stored");
    if (isPromise(result)) waiting.push(result.then(judged));
    else judged(result);
  };
  const whole = new Map<string, unknown>(Object.entries(data));
  for (const [name, value] of whole) check(["data"], name, value);
  for (const [routeId, part] of Object.entries(dataByRoute)) {
    // Mostly the same value, which was looked at already.
    for (const [name, value] of Object.entries(part ?? {})) {
      if (!Object.is(value, whole.get(name))) check(["dataByRoute", routeId], name, value);
    }
  }
  if (waiting.length === 0) return refuse(issues, details);
  return Promise.all(waiting).then(() => refuse(issues, details));
}

function judge(
  issues: ValidationIssue[],
  path: readonly string[],
  value: unknown,
  result: FieldResult,
  details: Details,
): void {
  if (result.issues !== undefined) {
    // Of each path, the validator has given what comes after the field.
    issues.push(...result.issues.map((issue) => ({ ...issue, path: [...path, ...issue.path.slice(2)] })));
    return;
  }
  if (Object.is(value, result.value)) return;
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
  "gives, and let the schema accept that unchanged, or give the field two: `{ input, stored }`";

function isEqual(value: unknown, output: unknown, context: EncodeContext): boolean {
  if (typeof value !== "object" || typeof output !== "object") return false;
  return jsonEqual(encodeValue(value, context), encodeValue(output, context));
}

function refuse(issues: readonly ValidationIssue[], details: Details): void {
  if (issues.length === 0) return;
  const fields = [...new Set(issues.map(({ path }) => (path[0] === "data" ? path[1] : path[2])))]
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

function fieldResult(path: readonly string[], result: StandardResult<unknown>): FieldResult {
  if (typeof result !== "object" || result === null) return broken(path, result);
  if (result.issues === undefined) return { value: result.value };
  // Not `map`: the lists of arktype are subclasses of Array whose `map` gives something else.
  return {
    issues: Array.from(result.issues, (issue) => ({
      path: [...path, ...placeOf(issue)],
      message: issue.message,
    })),
  };
}

function placeOf({ path = [] }: StandardIssue): string[] {
  return Array.from(path, (part) => String(typeof part === "object" ? part.key : part));
}

function broken(path: readonly string[], error: unknown): FieldResult {
  const kind = error instanceof Error ? error.name : typeof error;
  const what = path.length > 1 ? "the validator of this field" : "the check of the whole";
  return { issues: [{ path, message: `${what} failed by itself (${kind})` }] };
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return value instanceof Promise || (typeof value === "object" && value !== null && "then" in value);
}
