import { describe, expect, it } from "@jest/globals";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { ValidationError } from "../../src/errors.js";
import { type Schema, validateField, validateState, validateWhole } from "../../src/state/schema.js";

const details = { operation: "saveTurn", sessionId: "s1" };
const validateData = (schema: Schema, data: object, of: typeof details) =>
  validateState(schema, { data, dataByRoute: {} }, of);
const bySchema: Record<string, Schema> = {
  zod: {
    email: z.email(),
    guests: z.number().int(),
    when: z.date(),
    address: z.object({ city: z.string() }),
  },
  valibot: {
    email: v.pipe(v.string(), v.email()),
    guests: v.pipe(v.number(), v.integer()),
    when: v.date(),
    address: v.object({ city: v.string() }),
  },
  arktype: {
    email: type("string.email"),
    guests: type("number.integer"),
    when: type("Date"),
    address: type({ city: "string" }),
  },
};

function issuesOf(run: () => unknown): ValidationError {
  try {
    run();
  } catch (error) {
    if (error instanceof ValidationError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe.each(Object.entries(bySchema))("with %s", (_library, schema) => {
  it("accepts what is there, and needs no promise for it", () => {
    const data = {
      email: "a@b.co",
      when: new Date(0),
      address: { city: "Oslo" },
      unknown: [1],
      guests: undefined,
    };
    expect(validateData(schema, data, details)).toBeUndefined();
    expect(validateData(schema, {}, details)).toBeUndefined();
  });

  it("names each field that is wrong, down to the place in it", () => {
    const data = { email: "nobody", guests: 1.5, address: { city: 5 }, when: new Date(0) };
    const error = issuesOf(() => validateData(schema, data, details));
    expect(error).toMatchObject({ code: "INVALID_STATE", ...details });
    expect(error.issues.map((issue) => issue.path)).toEqual([
      ["data", "email"],
      ["data", "guests"],
      ["data", "address", "city"],
    ]);
    expect(error.message).toContain('"email", "guests", "address"');
    expect(error.message).not.toContain("nobody");
  });

  it("validates one field", () => {
    expect(validateField(schema, "email", "a@b.co")).toEqual({ value: "a@b.co" });
    expect(validateField(schema, "unknown", 1)).toEqual({ value: 1 });
    expect(validateField(schema, "constructor", 1)).toEqual({ value: 1 });
    expect(validateField(schema, "email", 1)).toMatchObject({ issues: [{ path: ["data", "email"] }] });
  });
});

describe("a schema that changes its own output", () => {
  it.each<[string, Schema, unknown]>([
    ["a text to its length", { f: z.string().transform((text) => text.length) }, "hello"],
    ["a coercion of what was not its output", { f: z.coerce.number() }, "2"],
    ["a field that is stripped", { f: z.object({ a: z.number() }) }, { a: 1, b: 2 }],
    ["a trimmed text", { f: v.pipe(v.string(), v.trim()) }, " a "],
    ["a parsed date", { f: type("string.date.parse") }, "2026-01-01"],
    ["a value to null", { f: z.any().transform(() => null) }, { a: 1 }],
  ])("is named: %s", (_what, schema, value) => {
    const error = issuesOf(() => validateData(schema, { f: value }, details));
    expect(error.issues).toHaveLength(1);
    expect(error.issues[0]).toMatchObject({
      path: ["data", "f"],
      message: expect.stringContaining("store what the schema gives"),
    });
  });

  it.each<[string, Schema, unknown]>([
    ["a coerced number", { f: z.coerce.number() }, 2],
    ["a trimmed text", { f: z.string().trim() }, "a"],
    [
      "an equal copy",
      { f: z.object({ d: z.date(), m: z.map(z.string(), z.bigint()) }) },
      { m: new Map([["a", 1n]]), d: new Date(0) },
    ],
    ["NaN", { f: z.nan() }, Number.NaN],
    ["null", { f: z.string().nullable() }, null],
  ])("is accepted where it settles: %s", (_what, schema, value) => {
    expect(validateData(schema, { f: value }, details)).toBeUndefined();
  });
});

describe("validators that wait or fail", () => {
  const later = (ok: boolean) => z.string().refine(() => Promise.resolve(ok), "taken");

  it("waits only where one does", async () => {
    await expect(
      validateData({ a: later(true), b: z.string() }, { a: "x", b: "y" }, details),
    ).resolves.toBeUndefined();
    const refusal = validateData({ a: later(false), b: z.string() }, { a: "x", b: 1 }, details);
    await expect(refusal).rejects.toMatchObject({
      issues: [{ path: ["data", "b"] }, { path: ["data", "a"], message: "taken" }],
    });
    await expect(validateField({ a: later(false) }, "a", "x")).resolves.toMatchObject({
      issues: [{ message: "taken" }],
    });
  });

  it("names the field of a validator that throws, without the value", async () => {
    const boom = (): never => {
      throw new TypeError("secret");
    };
    const message = "the validator of this field failed by itself (TypeError)";
    const schemaOf = (validate: () => never | Promise<never>): Schema => ({
      a: { "~standard": { version: 1, vendor: "x", validate } },
    });
    const sync = issuesOf(() => validateData(schemaOf(boom), { a: "secret" }, details));
    expect(sync.issues).toEqual([{ path: ["data", "a"], message }]);
    // zod tries again in its asynchronous way when a check throws.
    for (const schema of [schemaOf(async () => boom()), { a: z.string().refine(boom) }]) {
      await expect(validateData(schema, { a: "secret" }, details)).rejects.toMatchObject({
        issues: [{ message }],
      });
    }
  });

  it("names a value that no store can keep", () => {
    const copy: Schema = { a: z.any().transform((value: object) => ({ ...value })) };
    const error = issuesOf(() => validateData(copy, { a: { call: () => 1 } }, details));
    expect(error.issues).toEqual([{ path: ["data", "a", "call"], message: "is a function" }]);
  });
});

describe("what each route has collected", () => {
  const schema: Schema = { a: z.object({ b: z.number() }), c: z.string() };

  it("is validated like the whole, and named by its route", () => {
    const state = { data: { c: "x" }, dataByRoute: { one: { a: { b: "no" }, other: 1 }, two: { c: 2 } } };
    const error = issuesOf(() => validateState(schema, state, details));
    expect(error.issues.map(({ path }) => path)).toEqual([
      ["dataByRoute", "one", "a", "b"],
      ["dataByRoute", "two", "c"],
    ]);
    expect(error.message).toContain('in "a", "c"');
  });

  it("is not validated again where it is the same value", () => {
    let count = 0;
    const counting: Schema = { a: z.any().refine(() => ++count > 0) };
    const a = new Date(0);
    void validateState(
      counting,
      { data: { a }, dataByRoute: { one: { a }, two: { a: new Date(1) } } },
      details,
    );
    expect(count).toBe(2);
  });
});

describe("a field with a schema for what is stored", () => {
  const schema: Schema = {
    when: { input: z.iso.date().transform((text) => new Date(text)), stored: z.date() },
    wrong: { input: z.string(), stored: z.string().transform(() => "other") },
  };

  it("takes in with one and checks with the other", () => {
    expect(validateField(schema, "when", "2026-01-01")).toEqual({ value: new Date("2026-01-01") });
    expect(validateField(schema, "when", new Date(0))).toMatchObject({
      issues: [{ path: ["data", "when"] }],
    });
    expect(validateData(schema, { when: new Date(0) }, details)).toBeUndefined();
    const error = issuesOf(() => validateData(schema, { when: "2026-01-01", wrong: "x" }, details));
    expect(error.issues.map(({ path }) => path)).toEqual([
      ["data", "when"],
      ["data", "wrong"],
    ]);
  });
});

describe("a check of the whole", () => {
  it("names fields by their path, and never throws", async () => {
    const check = z.object({ a: z.number(), b: z.number() }).refine(({ a, b }) => a < b, { path: ["b"] });
    expect(await validateWhole(check, { a: 1, b: 2 })).toMatchObject({ value: {} });
    expect(await validateWhole(check, { a: 2, b: 1 })).toMatchObject({ issues: [{ path: ["data", "b"] }] });
    const boom = z.object({}).refine(() => {
      throw new TypeError("secret");
    });
    const message = "the check of the whole failed by itself (TypeError)";
    expect(await validateWhole(boom, {})).toEqual({ issues: [{ path: ["data"], message }] });
  });
});
