import { describe, expect, it } from "@jest/globals";
import { decodeValue } from "../../src/codec/decode.js";
import { encodeValue } from "../../src/codec/encode.js";
import type { Json } from "../../src/contract/json.js";
import { StorageError } from "../../src/errors.js";

const context = { operation: "findById", sessionId: "s1" };

const malformed: readonly Json[] = [
  { "~date": "yesterday, secret" },
  { "~date": "2026-13-01T00:00:00.000Z" },
  { "~date": 0 },
  { "~bigint": "1.5" },
  { "~bigint": "-0" },
  { "~bigint": 1 },
  { "~number": "1" },
  { "~number": null },
  { "~string": "~zzzz" },
  { "~string": 1 },
  { "~undefined": null },
  { "~bytes": "A" },
  { "~bytes": "AB==" },
  { "~bytes": "A===" },
  { "~bytes": "secret!!" },
  { "~bytes": "éééé" },
  { "~set": {} },
  { "~set": [1, 1] },
  { "~map": [[1]] },
  { "~map": [1] },
  { "~map": [[1, 2, 3]] },
  {
    "~map": [
      [1, 2],
      [1, 3],
    ],
  },
  { "~bare": [] },
  { "~bare": { "~date": null } },
  { "~secret": 1 },
  { "~date": null, "~bigint": "1" },
  { "~date": null, other: 1 },
  { "~k~": 1, other: 1 },
  { "~": 1 },
];

describe("decodeValue", () => {
  it.each(malformed.map((json) => [JSON.stringify(json), json] as const))(
    "calls %s damage, without its contents",
    (_text, json) => {
      let error: unknown;
      try {
        decodeValue([{ inner: json }], context);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(StorageError);
      expect(error).toMatchObject({ code: "STORAGE_DAMAGED", operation: "findById", sessionId: "s1" });
      expect(String(error)).not.toContain("secret");
    },
  );

  it("does not use up the stack on contents that are nested without end", () => {
    let json: Json = 1;
    for (let i = 0; i < 100_000; i++) json = [json];
    expect(() => decodeValue(json, context)).toThrow(StorageError);
  });

  it("gives plain byte arrays of every length", () => {
    for (let length = 0; length < 300; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) % 256);
      const json = encodeValue(bytes, context);
      expect(json).toEqual({ "~bytes": Buffer.from(bytes).toString("base64") });
      const back = decodeValue(json, context);
      expect(back).toEqual(bytes);
      expect(Object.getPrototypeOf(back)).toBe(Uint8Array.prototype);
    }
    const large = new Uint8Array(100_000).fill(7);
    expect(decodeValue(encodeValue(large, context), context)).toEqual(large);
  });

  it("shares nothing with the JSON", () => {
    const json = { list: [{ a: 1 }] };
    const value = decodeValue(json, context);
    json.list.push({ a: 2 });
    expect(value).toEqual({ list: [{ a: 1 }] });
  });
});
