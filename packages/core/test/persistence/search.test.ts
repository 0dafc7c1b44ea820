import { describe, expect, it } from "@jest/globals";
import { assert, nat, property, string } from "fast-check";
import { searchTerms, snippetAt, snippetOf } from "../../src/contract/search.js";
import { type MessageSearch, PersistenceManager } from "../../src/index.js";
import { mapAdapter } from "../support/map-adapter.js";
import { refusal } from "../support/stores.js";

describe("a search", () => {
  const wrong: readonly object[] = [
    ...[
      { text: undefined },
      { text: 7 },
      { text: "a".repeat(16_385) },
      { limit: 0 },
      { limit: 101 },
      { limit: 1.5 },
    ],
    ...[{ cursor: "x" }, { cursor: 7 }, { from: "2020-01-01" }, { to: new Date(Number.NaN) }],
    ...[{ sessionId: "" }, { sessionId: "\ud800" }, { userId: "\0" }],
  ];

  it.each(wrong)("is refused before anything is asked: %j", async (part) => {
    let asked = 0;
    const adapter = { ...mapAdapter(), initialize: async () => void asked++ };
    const manager = new PersistenceManager({ adapter });
    const query: MessageSearch = { text: "a", ...part };
    expect(["INVALID_ARGUMENT", "INVALID_ID"]).toContain((await refusal(manager.search(query))).code);
    expect(asked).toBe(0);
  });

  it("is refused by name where the adapter has none, and where nothing is asked for", async () => {
    const manager = new PersistenceManager({ adapter: mapAdapter() });
    expect(await refusal(manager.search({ text: "a" }))).toMatchObject({
      code: "CAPABILITY_MISSING",
      operation: "search",
    });
    expect((await refusal(manager.search(JSON.parse("null")))).code).toBe("INVALID_ARGUMENT");
  });

  it("asks by milliseconds and by the clock of the manager, and gives what is known of each hit", async () => {
    const asked: unknown[] = [];
    const hit = { sessionId: "s", log: "l", sequence: 3, role: "user", createdAt: 5, snippet: "an order" };
    const search = {
      query: async (query: object) => {
        asked.push(query);
        return { items: [hit, { ...hit, role: "route" }], next: "5.3.s" };
      },
    };
    const manager = new PersistenceManager({ adapter: { ...mapAdapter(), search }, userId: "ada" });
    const before = Date.now();
    const found = await manager.search({
      text: "order",
      from: new Date(1),
      to: new Date(2),
      limit: 2,
      cursor: "9.1.s",
    });
    const { log: _, ...shown } = hit;
    expect([...found]).toEqual([{ ...shown, createdAt: new Date(5) }]);
    expect(found.next).toBe("5.3.s");
    expect(asked).toEqual([
      {
        text: "order",
        userId: "ada",
        from: 1,
        to: 2,
        limit: 2,
        cursor: "9.1.s",
        expiresAfter: expect.any(Number),
      },
    ]);
    expect(Object(asked[0])["expiresAfter"]).toBeGreaterThanOrEqual(before);
  });
});

describe("the text of a search", () => {
  it.each<[string, readonly string[]]>([
    ["order late", ["order", "late"]],
    ['"order  number" -late', ["order+number", "-late"]],
    ['-"order number" x', ["-order+number", "x"]],
    ["it's naïve, 漢字!", ["it+s", "naïve", "漢字"]],
    ['"unclosed quote', ["unclosed", "quote"]],
    ["a\0b \ud800 c", ["a", "b", "c"]],
    ["-late", []],
    ['"" - -- * 😀', []],
  ])("%j", (text, expected) => {
    const terms = searchTerms(text).map(({ words, isExcluded }) => (isExcluded ? "-" : "") + words.join("+"));
    expect(terms).toEqual(expected);
  });

  it("has no quotes in a term, whatever it is", () => {
    assert(
      property(string({ unit: "binary" }), (text) => {
        for (const term of searchTerms(text)) expect(term.text).not.toMatch(/["\0\p{Surrogate}]/u);
      }),
    );
  });
});

describe("a snippet", () => {
  const far = "so it goes ".repeat(100);

  it.each([
    ["order late", `${far}late order`, "late order"],
    ["late -orders", `${far}a late order`, "a late order"],
    ["CAFE\u0301", `${far}İ Café`, "İ Café"],
    ["resume", `${far}RÉSUMÉ`, "RÉSUMÉ"],
    ["한글", `한국 ${far}한글`, "한글"],
    ["stems", `the beginning ${far}`, "the beginning"],
  ])("for %j is around the longest word", (text, content, shown) => {
    expect(snippetOf(content, searchTerms(text))).toContain(shown);
  });

  it("has the word that was looked for, whatever is before it", () => {
    assert(
      property(string({ unit: "grapheme", maxLength: 400 }), (before) => {
        const content = `${before} wanted ${before}`;
        const snippet = snippetOf(content, searchTerms("WANTED"));
        expect(content).toContain(snippet);
        expect(snippet).toContain("wanted");
      }),
    );
  });
});

it("a snippet is a part of the text, and has no half of a character that the text has whole", () => {
  assert(
    property(string({ unit: "grapheme", maxLength: 400 }), nat(400), (text, at) => {
      const snippet = snippetAt(text, Math.min(at, text.length));
      expect(text).toContain(snippet);
      expect(snippet).not.toMatch(/\p{Surrogate}/u);
    }),
  );
});
