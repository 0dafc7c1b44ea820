import { describe, expect, it } from "@jest/globals";
import { runInNewContext } from "node:vm";
import { decodeValue } from "../../src/codec/decode.js";
import { encodeValue } from "../../src/codec/encode.js";
import { ValidationError } from "../../src/errors.js";
import { difference } from "./same.js";
import { refusable } from "./values.js";

const context = { operation: "saveTurn", sessionId: "s1" };

function refused(value: unknown, path?: readonly string[]): ValidationError {
  try {
    encodeValue(value, { ...context, path });
  } catch (error) {
    if (error instanceof ValidationError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("encodeValue", () => {
  it("writes what JSON lacks as an object with one key", () => {
    const value = {
      date: new Date(Date.UTC(2026, 0, 2)),
      never: new Date(Number.NaN),
      big: 12n,
      map: new Map<unknown, unknown>([["a", undefined]]),
      set: new Set([Number.NaN]),
      bytes: new Uint8Array([0, 255, 1, 2]),
      zero: -0,
      text: "a\0~",
      bare: Object.create(null),
      list: [undefined],
      gone: undefined,
    };
    expect(encodeValue(value, context)).toStrictEqual({
      date: { "~date": "2026-01-02T00:00:00.000Z" },
      never: { "~date": null },
      big: { "~bigint": "12" },
      map: { "~map": [["a", { "~undefined": true }]] },
      set: { "~set": [{ "~number": "NaN" }] },
      bytes: { "~bytes": "AP8BAg==" },
      zero: { "~number": "-0" },
      text: { "~string": "a~0000~007e" },
      bare: { "~bare": {} },
      list: [{ "~undefined": true }],
    });
  });

  it("escapes keys that a store would misread, and no others", () => {
    const keys = [
      "$where",
      "a.b",
      "",
      " ",
      "~date",
      "~k",
      "__proto__",
      "toJSON",
      "a\0",
      "a$",
      "_id",
      "ключ",
      "a b",
    ];
    const value = Object.fromEntries(keys.map((key) => [key, 1]));
    expect(Object.keys(encodeValue(value, context) ?? {})).toEqual([
      "~k$where",
      "~ka~002eb",
      "~k",
      "~k ",
      "~k~007edate",
      "~k~007ek",
      "~k__proto__",
      "~ktoJSON",
      "~ka~0000",
      "a$",
      "_id",
      "ключ",
      "a b",
    ]);
  });

  it.each([
    { "~date": "x" },
    { "~kx": 1 },
    { "~": 1 },
    { "~bare": {} },
    { "~k~007edate": null },
    { "~map": [[1, 2]], b: 1 },
  ])("keeps %j, which looks like a tag", (value) => {
    expect(difference(value, decodeValue(encodeValue(value, context), context))).toBeNull();
  });

  it("agrees with toISOString on every kind of date", () => {
    const times = [
      0,
      -1,
      -62_198_755_200_001,
      253_402_300_800_000,
      8.64e15,
      -8.64e15,
      951_782_400_000,
      1e12 + 7,
      1e12 + 70,
    ];
    for (const time of [...times, ...times.map((each) => each * 0.37)]) {
      const date = new Date(time);
      expect(encodeValue(date, context)).toEqual({ "~date": date.toISOString() });
    }
  });

  it("shares nothing with the value", () => {
    const value = { list: [{ a: 1 }] };
    const json = JSON.stringify(encodeValue(value, context));
    const encoded = encodeValue(value, context);
    value.list[0] = { a: 2 };
    value.list.push({ a: 3 });
    expect(JSON.stringify(encoded)).toBe(json);
  });

  it("takes values of another realm", () => {
    const value: unknown = runInNewContext(
      "({ d: new Date(0), m: new Map([[1, new Set([2])]]), l: [{}], b: new Uint8Array([1]) })",
    );
    const here = { d: new Date(0), m: new Map([[1, new Set([2])]]), l: [{}], b: new Uint8Array([1]) };
    expect(difference(here, decodeValue(encodeValue(value, context), context))).toBeNull();
  });

  it("leaves out what is not enumerable and what it is told to omit", () => {
    const value = Object.defineProperty({ a: 1, b: { a: 2 } }, "hidden", { value: 3 });
    expect(encodeValue(value, { ...context, omit: new Set(["a"]) })).toEqual({ b: { a: 2 } });
  });
});

describe("encodeValue refuses", () => {
  it.each(refusable)("%s, with its path and without what is in it", (_what, make) => {
    const error = refused({ list: [{ field: make() }], secret: "hunter2" }, ["data"]);
    expect(error).toMatchObject({ code: "INVALID_VALUE", operation: "saveTurn", sessionId: "s1" });
    expect(error.message).toMatch(/^saveTurn: data\.list\[0\]\.field/);
    expect(error.issues[0]?.path.slice(0, 4)).toEqual(["data", "list", "0", "field"]);
    expect(error.message).not.toContain("hunter2");
  });

  it("names the smallest cycle", () => {
    const inner: Record<string, unknown> = {};
    const list = [inner];
    inner["again"] = { list };
    const error = refused({ a: { list } });
    expect(error.message).toContain("a.list[0].again.list refers to itself");
  });

  it("says what to do with a Buffer, a promise and an unusual key", () => {
    expect(refused(Buffer.from("x")).message).toContain(
      "the value is a Buffer; store `new Uint8Array(value)`",
    );
    expect(refused({ a: Promise.resolve() }).message).toContain(
      "a is an instance of Promise; await it first",
    );
    expect(refused({ "a.b": { __proto__: null, ["\n"]: () => 1 } }).message).toContain(
      '["a.b"]["\\n"] is a function',
    );
    expect(refused({ ["k".repeat(20_000)]: 1 }).message).toContain("has a name longer than");
  });

  it("more than 64 levels of JSON, the path counted in", () => {
    const nest = (levels: number): unknown => (levels === 0 ? 1 : { n: nest(levels - 1) });
    expect(() => encodeValue(nest(64), context)).not.toThrow();
    expect(refused(nest(65))).toMatchObject({ code: "COMMIT_TOO_LARGE" });
    expect(refused(nest(64), ["data"])).toMatchObject({ code: "COMMIT_TOO_LARGE" });
    const dates = (levels: number): unknown => (levels === 0 ? new Date(0) : [dates(levels - 1)]);
    expect(() => encodeValue(dates(63), context)).not.toThrow();
    expect(refused(dates(64))).toMatchObject({ code: "COMMIT_TOO_LARGE" });
    expect(refused(nest(100_000 / 10)).code).toBe("COMMIT_TOO_LARGE");
  });

  it("shared references that would be written out without end", () => {
    let value: unknown = [];
    for (let i = 0; i < 40; i++) value = [value, value];
    expect(refused(value)).toMatchObject({ code: "COMMIT_TOO_LARGE" });
  });
});
