import { describe, expect, it } from "@jest/globals";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { ValidationError } from "../../src/errors.js";
import { type Schema, validateData, validateField } from "../../src/state/schema.js";

const details = { operation: "saveTurn", sessionId: "s1" };
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
