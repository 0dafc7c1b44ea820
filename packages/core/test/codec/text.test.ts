import { describe, expect, it } from "@jest/globals";
import { isStorableText, storableText } from "../../src/codec/text.js";

describe("text for columns", () => {
  it("keeps well-formed text, pairs of surrogates among it", () => {
    for (const text of ["", "plain", "\ud83d\ude00 \ufffd\uffff\u0001"]) {
      expect(isStorableText(text)).toBe(true);
      expect(storableText(text)).toBe(text);
    }
  });

  it("replaces U+0000 and lone surrogates", () => {
    const text = "a\0b\ud800c\udc00\ud83d\ude00\ud800";
    expect(isStorableText(text)).toBe(false);
    expect(storableText(text)).toBe("a\ufffdb\ufffdc\ufffd\ud83d\ude00\ufffd");
    expect(storableText(text)).toHaveLength(text.length);
  });
});
