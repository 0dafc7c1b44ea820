import {
  type Entry,
  type Json,
  type SessionRow,
  type Status,
  systemEnvironment,
} from "@waymark/core/adapter";
import type { Random } from "./random.js";

const { newId } = systemEnvironment;

/** A row with every field set to something. */
export function makeRow(id: string, fields: Partial<SessionRow> = {}): SessionRow {
  const life = fields.life ?? newId();
  return {
    id,
    life,
    revision: newId(),
    version: `${life}.1`,
    userId: "ann",
    agentName: "booking",
    status: "active",
    first: 1,
    last: 0,
    lastMessageAt: 1_700_000_000_123,
    createdAt: 1_700_000_000_001,
    updatedAt: 1_700_000_000_999,
    completedAt: 1_700_000_000_777,
    expiresAt: 4_100_000_000_555,
    route: "book",
    step: "when",
    state: { data: { name: "Ann", guests: 2, tags: ["a", { b: null }] }, routeHistory: [], empty: {} },
    dirty: false,
    system: { pending: [], operations: [], count: 0 },
    ...fields,
  };
}

/** A later row of the same session. */
export function nextRow(row: SessionRow, fields: Partial<SessionRow> = {}): SessionRow {
  return { ...row, revision: newId(), ...fields };
}

export function makeEntry(
  sessionId: string,
  log: string,
  sequence: number,
  fields: Partial<Entry> = {},
): Entry {
  return {
    sessionId,
    log,
    sequence,
    userId: "ann",
    role: "user",
    content: `message ${sequence}`,
    createdAt: 1_700_000_000_000 + sequence,
    body: { content: `message ${sequence}`, route: "book", list: [1, null, { deep: true }] },
    ...fields,
  };
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Texts that some store, driver or language reads as something else than text. */
export const hostileTexts: readonly string[] = [
  ...["", " ", " a ", "\t", "\n", "\r\n", "null", "undefined", "true", "0", "-1", "1e3", "0x10", "NaN", "[]"],
  ...[
    "'",
    '"',
    "\\",
    "`",
    "';--",
    "' OR '1'='1",
    "\\'; DROP TABLE sessions; --",
    "%",
    "_",
    "%s",
    "$1",
    "?",
    ":a",
  ],
  ...[
    "{$ne: null}",
    '{"$ne":null}',
    '{"$oid":"507f1f77bcf86cd799439011"}',
    '{"$date":"2020-01-01T00:00:00Z"}',
  ],
  ...[
    "*",
    "**",
    "[a-z]",
    "{a}",
    "a:b",
    "a|b",
    "..",
    "../../etc/passwd",
    "/",
    "C:\\",
    "a/b",
    "%2e%2e%2f",
    "~",
    "#",
  ],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "$where", "a.b", "<script>alert(1)</script>"],
  ...["2020-01-01T00:00:00.000Z", "2020-01-01", "123456789012345678901234567890", "1.0", "+1", "007"],
  ...[
    "é",
    "e\u0301",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "ﬁ",
    "Å",
    "\u200b",
    "\ufeff",
    "\u202e",
    "\u0001",
    "\u007f",
    "\u0085",
    "\u2028",
  ],
  ...["\uffff", "\ufffd", "\ue000", "😀", "👩‍👩‍👧‍👦", "𝒳", "\u{10ffff}", "漢字", "مرحبا", "ไทย"],
];

export function makeText(random: Random): string {
  const parts = Array.from({ length: random.int(0, 4) }, () =>
    random.once(2) ? random.pick(hostileTexts) : String.fromCodePoint(random.int(1, 0xd7ff)),
  );
  return random.once(3) ? random.pick(hostileTexts) : parts.join("");
}

/** Any text at all, also such as no store can hold: core encodes it before an adapter sees it. */
function anyText(random: Random): string {
  const units = Array.from({ length: random.int(0, 6) }, () => random.pick([0, 0xd800, 0xdc00, 0x41, 0x7e]));
  return random.once(3) ? String.fromCharCode(...units) : makeText(random);
}

/** A value of any kind that a session may hold. */
export function makeValue(random: Random, depth = 3): unknown {
  const inside = () => makeValue(random, depth - 1);
  const many = <T>(make: () => T): T[] => Array.from({ length: random.int(0, 4) }, make);
  switch (random.int(0, depth > 0 ? 15 : 9)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.pick([
        0,
        -0,
        Number.NaN,
        Infinity,
        -Infinity,
        0.1,
        -1.5,
        1e308,
        5e-324,
        2 ** 53,
        -(2 ** 53),
      ]);
    case 2:
      return random.int(-1_000_000, 1_000_000) / random.pick([1, 3, 1000]);
    case 3:
      return BigInt(random.int(-9, 9)) ** BigInt(random.int(0, 80));
    case 4:
      return new Date(random.pick([0, -1, 8.64e15, Number.NaN, random.int(0, 2e12)]));
    case 5:
      return Uint8Array.from(many(() => random.int(0, 255)));
    case 6:
    case 7:
      return anyText(random);
    case 8:
    case 9:
      return makeText(random);
    case 10:
    case 11:
      return many(inside);
    case 12:
      return new Map(many(() => [inside(), inside()] as const));
    case 13:
      return new Set(many(inside));
    default:
      return makeRecord(random, inside);
  }
}

/** An object whose keys may be those of a prototype, an operator or a path: all are data. */
export function makeRecord(random: Random, makeItem: () => unknown): object {
  const record = {};
  for (let count = random.int(0, 5); count > 0; count--) {
    const value = makeItem();
    Object.defineProperty(record, anyText(random), {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return record;
}

/** Plain JSON as an adapter gets it: well-formed text, and keys that core has made harmless. */
export function makeJson(random: Random, depth = 3): Json {
  const many = <T>(make: () => T): T[] => Array.from({ length: random.int(0, 4) }, make);
  switch (random.int(0, depth > 0 ? 7 : 4)) {
    case 0:
      return random.pick([
        null,
        true,
        false,
        0,
        1,
        -1,
        0.1,
        1e21,
        1e-7,
        Number.MAX_SAFE_INTEGER,
        1.7e308,
        5e-324,
      ]);
    case 1:
      return random.int(-1_000_000, 1_000_000) / random.pick([1, 3, 1000]);
    case 5:
      return many(() => makeJson(random, depth - 1));
    case 6:
    case 7:
      return Object.fromEntries(
        many(() => [
          `${random.pick(["a", "b", "Key", "é", "~k", "0"])}${random.int(0, 9)}`,
          makeJson(random, depth - 1),
        ]),
      );
    default:
      return makeText(random);
  }
}

/** Ids that are all different, and that a careless store takes for each other, for a pattern, or for a path. */
export const hostileIds: readonly string[] = [
  ...[
    "Abc",
    "abc",
    "ABC",
    "ábc",
    "a\u0301bc",
    "ÁBC",
    "abc ",
    " abc",
    "abc\t",
    "abc\n",
    "abc\u200b",
    "abc\u00ad",
  ],
  ...[
    "a",
    "a%",
    "a_",
    "a*",
    "a?",
    "[a]",
    "{a}",
    "a:b",
    "a:b:c",
    "{a}:b",
    "a}b",
    "a|b",
    "a,b",
    "a;b",
    "a=b",
    "a&b",
  ],
  ...[
    ".",
    "..",
    "../a",
    "..\\a",
    "/a",
    "a/b",
    "a//b",
    "a/../b",
    "./a",
    "~",
    "~a",
    "C:",
    "CON",
    "nul",
    "a.log",
    "a.",
  ],
  ...[
    "%2e",
    "%2E",
    "%00",
    "%",
    "$where",
    "$ne",
    '{"$ne":null}',
    "__proto__",
    "constructor",
    "toString",
    "null",
    "undefined",
  ],
  ...[
    "'",
    '"',
    "\\",
    "`",
    "' OR '1'='1",
    "--",
    "#",
    "?",
    "1",
    "01",
    "1.0",
    "1e0",
    "-1",
    "true",
    "[object Object]",
  ],
  ...[
    "ß",
    "ss",
    "ẞ",
    "ﬁ",
    "fi",
    "İ",
    "i",
    "I",
    "ı",
    "Å",
    "\u212b",
    "A\u030a",
    "😀",
    "\u{10ffff}",
    "\uffff",
    "\ufeffa",
    "\u202ea",
  ],
];

/** Ids that are as long as an adapter takes them, in bytes, and differ only at the end. */
export function longIds(bytes: number): readonly string[] {
  const [two, four] = [Math.floor(bytes / 2), Math.floor(bytes / 4)];
  return [
    ...["x".repeat(bytes - 1), "x".repeat(bytes), `${"x".repeat(bytes - 1)}y`],
    ...["é".repeat(two), "😀".repeat(four), `${"😀".repeat(four - 1)}😁`],
  ];
}

/** What is no id for an adapter that takes so many bytes. */
export function tooLongIds(bytes: number): readonly string[] {
  return ["x".repeat(bytes + 1), "é".repeat(Math.floor(bytes / 2) + 1)];
}

/** What is no id: too short, not well-formed, not a text. */
export const notIds: readonly unknown[] = [
  ...["", "a\0b", "\0", "\ud800", "a\udc00", "\ude00\ud83d"],
  ...[
    null,
    undefined,
    0,
    1,
    true,
    {},
    [],
    ["a"],
    { $ne: null },
    { $gt: "" },
    { toString: () => "a" },
    Symbol.iterator,
    1n,
  ],
];

export const statuses: readonly Status[] = ["active", "completed", "abandoned", "deleting"];
