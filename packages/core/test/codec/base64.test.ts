import { afterEach, describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { fromBase64, toBase64 } from "../../src/codec/base64.js";

const { Buffer } = globalThis;

describe.each(["with Buffer", "without Buffer"])("base64 (%s)", (name) => {
  const prepare = () => {
    if (name === "without Buffer") Reflect.set(globalThis, "Buffer", undefined);
  };
  afterEach(() => {
    globalThis.Buffer = Buffer;
  });

  it("is what RFC 4648 says", () => {
    prepare();
    const texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
    const codes = [..."foobar"].map((letter) => letter.charCodeAt(0));
    expect(texts.map((_, n) => toBase64(Uint8Array.from(codes.slice(0, n))))).toEqual(texts);
    expect(texts.map((text) => fromBase64(text))).toEqual(
      texts.map((_, n) => Uint8Array.from(codes.slice(0, n))),
    );
  });

  it("takes what it made back, into memory of its own, also from a part of an array", () => {
    prepare();
    const check = (bytes: Uint8Array) => {
      const back = fromBase64(toBase64(bytes));
      expect([...(back ?? [])]).toEqual([...bytes]);
      expect([back?.constructor, back?.buffer.byteLength]).toEqual([Uint8Array, bytes.length]);
    };
    fc.assert(fc.property(fc.uint8Array(), fc.nat(4), (bytes, from) => check(bytes.subarray(from))));
    check(Uint8Array.from({ length: 20_000 }, (_, n) => n * 31));
  });

  it.each([
    "A",
    "AAA",
    "AA=A",
    "A===",
    "====",
    "AB==",
    "AAB=",
    "AA A",
    " AAA",
    "AAA\n",
    "AA-_",
    "AAAé",
    "AAA\u0141",
    "=AAA",
  ])("refuses %j", (text) => {
    prepare();
    expect(fromBase64(text)).toBeNull();
  });
});
