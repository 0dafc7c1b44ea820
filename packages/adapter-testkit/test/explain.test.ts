import { describe, expect, it } from "@jest/globals";
import { type Call, type Seen, type Told, explain, textOf } from "../src/explain.js";

let clock = 0;

interface Given extends Partial<Pick<Call, "kind" | "expected" | "count" | "start" | "end" | "writer">> {
  readonly told: Told;
}

function call(operation: string, given: Given): Call {
  const { kind = "turn", expected = kind === "turn" ? "l.1" : null, count = 2, writer = "w" } = given;
  const { start = ++clock, end = ++clock, told } = given;
  return { writer, session: "s", kind, operation, expected, count, start, end, told };
}

const texts = (...turns: readonly (readonly [string, number])[]): string[] =>
  turns.flatMap(([operation, count]) =>
    Array.from({ length: count }, (_, index) => textOf(operation, index + 1, count)),
  );

const stored = (version: string, first: number, last: number): Told => ({
  status: "stored",
  version,
  first,
  last,
});
const seen = (version: string, by: string, ...turns: readonly (readonly [string, number])[]): Seen => {
  const all = texts(...turns);
  return { version, by, last: all.length, texts: all };
};

const a = () => call("a", { told: stored("l.2", 1, 2) });
const b = (given: Partial<Given> = {}) => call("b", { expected: "l.2", told: stored("l.3", 3, 4), ...given });
const both = seen("l.3", "b", ["a", 2], ["b", 2]);

describe("one order of the turns", () => {
  it("explains turns, appends, reads, conflicts, and what was never answered", () => {
    const calls = [
      call("a", { told: stored("l.2", 1, 2), start: 1, end: 10 }),
      call("lost", { told: { status: "conflict", version: "l.2" }, start: 2, end: 11 }),
      call("more", {
        kind: "append",
        count: 1,
        told: { status: "open", why: "no answer" },
        start: 3,
        end: 4,
      }),
      call("", {
        kind: "load",
        told: { status: "loaded", ...seen("l.2", "a", ["a", 2]) },
        start: 12,
        end: 13,
      }),
      call("b", { expected: "l.2", told: stored("l.3", 4, 5), start: 14, end: 15 }),
      call("b", { expected: "l.2", told: stored("l.3", 4, 5), start: 16, end: 17 }),
      call("never", { kind: "append", told: { status: "open", why: "unknown" }, start: 16, end: 18 }),
    ];
    expect(explain(calls, "l.1", seen("l.3", "b", ["a", 2], ["more", 1], ["b", 2]))).toBeNull();
  });

  it.each<[string, readonly Call[], Seen, RegExp]>([
    ["a lost turn", [a(), b()], seen("l.2", "a", ["a", 2]), /a turn was lost/],
    ["a torn turn", [a(), b()], { ...both, last: 3, texts: both.texts.slice(0, 3) }, /is torn/],
    ["a turn stored twice", [a()], seen("l.2", "a", ["a", 2], ["a", 2]), /stored twice/],
    ["a turn of nobody", [a()], both, /nobody made/],
    [
      "messages that the row does not know",
      [a()],
      { ...seen("l.2", "a", ["a", 2]), last: 1 },
      /the row says 1/,
    ],
    ["a lost update", [a(), b({ expected: "l.1" })], both, /a lost update/],
    ["a state of another turn", [a(), b()], { ...both, by: "a" }, /the state is that of a/],
    ["a version too many", [a(), b()], { ...both, version: "l.4" }, /the version is l.4/],
    ["sequences told wrongly", [a(), b({ told: stored("l.3", 4, 5) })], both, /with sequences 4 to 5/],
    ["a version told wrongly", [a(), b({ told: stored("l.9", 3, 4) })], both, /with version l.9/],
    [
      "a conflict that was stored",
      [a(), b({ told: { status: "conflict", version: "l.2" } })],
      both,
      /but it is there/,
    ],
    [
      "a conflict before anybody moved the version",
      [call("c", { told: { status: "conflict", version: "l.2" }, start: -9, end: -8 }), a()],
      seen("l.2", "a", ["a", 2]),
      /nobody had moved/,
    ],
    [
      "an order against the clock",
      [
        call("a", { kind: "append", told: stored("l.1", 3, 4), start: 1, end: 2 }),
        call("b", { kind: "append", told: stored("l.1", 1, 2), start: 5, end: 6 }),
      ],
      seen("l.1", "", ["b", 2], ["a", 2]),
      /had been acknowledged before/,
    ],
    [
      "a stale read",
      [a(), b(), call("", { kind: "load", told: { status: "loaded", ...seen("l.2", "a", ["a", 2]) } })],
      both,
      /had been acknowledged before the read/,
    ],
    [
      "a read of the future",
      [
        call("", {
          kind: "load",
          told: { status: "loaded", ...seen("l.2", "a", ["a", 2]) },
          start: -9,
          end: -8,
        }),
        a(),
      ],
      seen("l.2", "a", ["a", 2]),
      /began only after/,
    ],
    [
      "a read of half a turn",
      [
        a(),
        call("", {
          kind: "load",
          told: { status: "loaded", ...seen("l.2", "a", ["a", 2]), last: 1, texts: [] },
        }),
      ],
      seen("l.2", "a", ["a", 2]),
      /no turn ended there/,
    ],
    [
      "a read of other messages",
      [
        a(),
        call("", {
          kind: "load",
          told: { status: "loaded", ...seen("l.2", "a", ["a", 2]), texts: ["x", "y"] },
        }),
      ],
      seen("l.2", "a", ["a", 2]),
      /not those of the turns/,
    ],
    [
      "an answer that cannot be",
      [a(), b({ told: { status: "other", why: "absent" } })],
      both,
      /was told "absent"/,
    ],
  ])("does not explain %s", (_, calls, final, message) => {
    expect(explain(calls, "l.1", final)).toMatch(message);
  });
});
