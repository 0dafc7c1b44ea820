import * as fc from "fast-check";

const hostileTexts = [
  "",
  " ",
  "~",
  "~k",
  "~date",
  "~0000",
  "$where",
  "a.b",
  ".",
  "\0",
  "a\0b",
  "\ud800",
  "\udc00x",
  "\ud83d\ude00",
  "~\ud800",
  "\ufffd",
];
const hostileKeys = [
  ...hostileTexts,
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "toJSON",
  "toBSON",
  "_bsontype",
  "then",
  "length",
  "0",
  "-1",
  "~bigint",
  "~map",
  "~bare",
  "~undefined",
  "~k~007e",
];

const text = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({ unit: "binary", maxLength: 4 }),
  fc.constantFrom(...hostileTexts),
  fc
    .array(fc.integer({ min: 0xd7fe, max: 0xe001 }), { maxLength: 3 })
    .map((units) => String.fromCharCode(...units)),
);
const key = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom(...hostileKeys), text);
const scalar = fc.oneof(
  text,
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53),
  fc.boolean(),
  fc.constantFrom(null, undefined),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 7 }).map((bytes) => new Uint8Array(bytes)),
);

/** Values that must come back equal. */
export const keepable: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small", withCrossShrink: true },
    { weight: 3, arbitrary: scalar },
    { weight: 2, arbitrary: fc.array(fc.tuple(key, tie("value")), { maxLength: 5 }).map(record({})) },
    { weight: 1, arbitrary: fc.array(tie("value"), { maxLength: 4 }) },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 })
        .map((pairs) => new Map(pairs)),
    },
    { weight: 1, arbitrary: fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)) },
    { weight: 1, arbitrary: fc.array(fc.tuple(key, tie("value")), { maxLength: 3 }).map(record(null)) },
    { weight: 1, arbitrary: fc.tuple(key, tie("value")).map((pair) => record({})([pair])) },
  ),
})).value;

/** Values that must be refused. Made anew each time, so that none is shared. */
export const refusable: readonly (readonly [what: string, make: () => unknown])[] = [
  ["a function", () => () => 1],
  ["a symbol", () => Symbol("s")],
  ["a symbol key", () => ({ [Symbol("s")]: 1 })],
  ["a symbol key of an array", () => Object.assign([1], { [Symbol("s")]: 1 })],
  [
    "an instance",
    () =>
      new (class Money {
        amount = 1;
      })(),
  ],
  ["a Buffer", () => Buffer.from("x")],
  ["a sparse array", () => sparse(3, 0)],
  ["an empty sparse array", () => sparse(3)],
  ["a property of an array", () => Object.assign([1], { extra: 1 })],
  ["a getter", () => Object.defineProperty({}, "x", { get: () => 1, enumerable: true })],
  ["a setter", () => Object.defineProperty({}, "x", { set: (_value: unknown) => {}, enumerable: true })],
  ["a getter in an array", () => Object.defineProperty([1], 0, { get: () => 1, enumerable: true })],
  ["a promise", () => Promise.resolve(1)],
  ["a WeakMap", () => new WeakMap()],
  ["a Float32Array", () => new Float32Array(1)],
  ["a DataView", () => new DataView(new ArrayBuffer(1))],
  ["an ArrayBuffer", () => new ArrayBuffer(1)],
  ["a boxed number", () => Object(1)],
  ["a boxed string", () => Object("x")],
  ["a RegExp", () => /x/],
  ["an Error", () => new TypeError("x")],
  ["a subclass of Date", () => new (class Day extends Date {})()],
  ["a subclass of Map", () => new (class Table extends Map {})()],
  ["a subclass of Array", () => new (class List extends Array {})()],
  ["a date with a property", () => Object.assign(new Date(0), { zone: "UTC" })],
  ["a map with a property", () => Object.assign(new Map(), { size2: 1 })],
  ["what only looks like a date", () => Object.create(Date.prototype)],
  ["what only looks like a map", () => Object.create(Map.prototype)],
  ["what only looks like bytes", () => Object.create(Uint8Array.prototype)],
  [
    "a proxy that throws",
    () =>
      new Proxy(
        { x: 1 },
        {
          ownKeys: () => {
            throw new Error("no");
          },
        },
      ),
  ],
  [
    "a proxy that throws at once",
    () =>
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error("no");
          },
        },
      ),
  ],
  [
    "a revoked proxy",
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
  ],
  [
    "a cycle",
    () => {
      const a: Record<string, unknown> = {};
      a["self"] = a;
      return a;
    },
  ],
  [
    "a cycle through a map",
    () => {
      const m = new Map<string, unknown>();
      m.set("self", [m]);
      return m;
    },
  ],
];

function sparse(length: number, ...items: unknown[]): unknown[] {
  items.length = length;
  return items;
}

/** Anything: mostly what is kept, sometimes with something that is not inside. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 5, arbitrary: keepable },
  {
    weight: 1,
    arbitrary: fc
      .tuple(keepable, fc.constantFrom(...refusable), key)
      .map(([value, [, make], name]) => [value, record({})([[name, make()]])]),
  },
);

function record(prototype: object | null) {
  return (pairs: readonly (readonly [string, unknown])[]): object => {
    const result: object = prototype === null ? Object.create(null) : {};
    for (const [name, value] of pairs) {
      Object.defineProperty(result, name, { value, writable: true, enumerable: true, configurable: true });
    }
    return result;
  };
}
