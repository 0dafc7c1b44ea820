import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { digest } from "../../src/codec/digest.js";
import { jsonEqual } from "../../src/codec/equal.js";
import type { Json } from "../../src/contract/json.js";

const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string({ maxLength: 3 }), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

function reversed(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(reversed);
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, reversed(item)]),
  );
}

describe("digest", () => {
  it("stays what it is: it is stored, and compared by later releases", () => {
    expect(digest(null)).toMatchInlineSnapshot(`"c03bd84c52f4f727"`);
    expect(digest("")).toMatchInlineSnapshot(`"18d3cdd4104aed3c"`);
    expect(digest({ a: [1, 2.5, "three", { b: false }] })).toMatchInlineSnapshot(`"f1beb9282a774ba3"`);
  });

  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(
        json,
        (value) => digest(value) === digest(reversed(value)) && jsonEqual(value, reversed(value)),
      ),
      {
        numRuns: 3_000,
      },
    );
  });

  it("differs for different JSON, as jsonEqual does", () => {
    fc.assert(
      fc.property(json, json, (a, b) => jsonEqual(a, b) === (digest(a) === digest(b))),
      { numRuns: 10_000 },
    );
  });

  it("tells types, order and nesting apart", () => {
    const values: Json[] = [
      1,
      "1",
      true,
      null,
      false,
      0,
      "",
      [],
      {},
      [[]],
      [{}],
      [null],
      [0],
      ["0"],
      0.5,
      -1,
      2 ** 31,
      2 ** 32,
      -(2 ** 31),
      [1, 2],
      [2, 1],
      [[1], 2],
      [1, [2]],
      ["ab"],
      ["a", "b"],
      ["", "ab"],
      "ab",
      "ba",
      "a",
      "a\0",
      "aa",
      "aaa",
      "aaaa",
      { a: 1 },
      { a: "1" },
      { b: 1 },
      { a: 1, b: 2 },
      { a: 2, b: 1 },
      { a: { b: 1 } },
      { b: { a: 1 } },
      { a: [] },
      { a: null },
      { a: 1, b: 1 },
      [{ a: 1 }, { b: 1 }],
      [{ b: 1 }, { a: 1 }],
      "\u4e00\u4e8c",
      "\u4e8c\u4e00",
    ];
    expect(new Set(values.map(digest)).size).toBe(values.length);
  });

  it("has no collision in 200,000 near neighbours, and each bit is one as often as zero", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 100_000; i++) {
      seen.add(digest({ n: i }));
      seen.add(digest(`message ${i}`));
    }
    expect(seen.size).toBe(200_000);
    for (const half of [0, 8]) {
      const words = [...seen].map((text) => Number.parseInt(text.slice(half, half + 8), 16));
      for (let bit = 0; bit < 32; bit++) {
        let ones = 0;
        for (const word of words) ones += (word >>> bit) & 1;
        expect(Math.abs(ones / words.length - 0.5)).toBeLessThan(0.01);
      }
    }
  });
});
