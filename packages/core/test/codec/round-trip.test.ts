import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { decodeValue } from "../../src/codec/decode.js";
import { encodeValue } from "../../src/codec/encode.js";
import { ValidationError } from "../../src/errors.js";
import { difference, illegal } from "./same.js";
import { anything, keepable } from "./values.js";

const context = { operation: "test" };

/** What went wrong, or null. `refusals` counts values that were refused as they may be. */
function problem(value: unknown, refusals: { count: number }): string | null {
  let json;
  try {
    json = encodeValue(value, context);
  } catch (error) {
    if (!(error instanceof ValidationError)) return `threw ${String(error)}`;
    refusals.count++;
    return ["INVALID_VALUE", "COMMIT_TOO_LARGE"].includes(error.code) ? null : error.code;
  }
  const wrong = illegal(json);
  if (wrong !== null) return `emitted ${wrong}`;
  const text = JSON.stringify(json);
  return (
    difference(value, decodeValue(json, context)) ?? difference(value, decodeValue(JSON.parse(text), context))
  );
}

describe("values come back equal", () => {
  it("keeps 80,000 values of every kind that can be stored", () => {
    const refusals = { count: 0 };
    fc.assert(
      fc.property(keepable, (value) => {
        fail(problem(value, refusals));
      }),
      { numRuns: 80_000 },
    );
    expect(refusals.count).toBe(0);
  });

  it("keeps or refuses 20,000 more, with what cannot be stored among them", () => {
    const refusals = { count: 0 };
    fc.assert(
      fc.property(anything, (value) => {
        fail(problem(value, refusals));
      }),
      { numRuns: 20_000 },
    );
    expect(refusals.count).toBeGreaterThan(1_000);
    expect(refusals.count).toBeLessThan(5_000);
  });

  it("leaves ordinary JSON as it is", () => {
    const ordinary = fc
      .jsonValue({ noUnicodeString: false })
      .filter((value) => illegal(value) === null && !hasMark(value));
    fc.assert(
      fc.property(ordinary, (value) => {
        expect(JSON.stringify(encodeValue(value, context))).toBe(JSON.stringify(value));
      }),
      { numRuns: 5_000 },
    );
  });

  it("does not change Object.prototype", () => {
    const before = Reflect.ownKeys(Object.prototype);
    const value: unknown = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    );
    const back = decodeValue(encodeValue(value, context), context);
    expect(difference(value, back)).toBeNull();
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    // Also JSON that this codec did not write.
    const raw = decodeValue(JSON.parse('{"a":{"__proto__":{"polluted":1}}}'), context);
    expect(JSON.stringify(raw)).toBe('{"a":{"__proto__":{"polluted":1}}}');
    expect(Reflect.get({}, "polluted")).toBeUndefined();
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
  });
});

/** An `expect` for each of a hundred thousand values takes longer than the values. */
function fail(what: string | null): void {
  if (what !== null) throw new Error(what);
}

function hasMark(value: unknown): boolean {
  return JSON.stringify(value).includes('"~');
}
