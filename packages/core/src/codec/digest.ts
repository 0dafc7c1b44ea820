import type { Json } from "../contract/json.js";

// A local name: looking up `Math` for every character is slow where globals are intercepted, as in test runners.
const { imul } = Math;

/** The running hash: two lanes of 32 bits. One pair serves all calls, since a call neither waits nor calls out. */
const lanes = new Int32Array(2);
const double = new DataView(new ArrayBuffer(8));

/**
 * A 64-bit hash of plain JSON as 16 hexadecimal digits. The order of keys does not matter; the order of arrays, and the
 * type of each value, does. It tells a retry from a mistake: equal input gives an equal digest on every machine. It is not
 * cryptographic and protects against nobody who wants two inputs with one digest. The mixing steps and their constants are
 * those of MurmurHash3 (Austin Appleby, public domain): the first two lanes of its 128-bit form for x86 and its 32-bit
 * finalizer.
 */
export function digest(json: Json): string {
  start();
  mixValue(json);
  finish();
  return hex(lane(0)) + hex(lane(1));
}

function mixValue(json: Json): void {
  switch (typeof json) {
    case "string":
      mix(kinds.string);
      mixText(json);
      return;
    case "number":
      mixNumber(json);
      return;
    case "boolean":
      mix(json ? kinds.true : kinds.false);
      return;
    default:
      if (json === null) mix(kinds.null);
      else if (isList(json)) {
        mix(kinds.array);
        mix(json.length);
        for (const item of json) mixValue(item);
      } else mixRecord(json);
  }
}

const kinds = { null: 1, true: 2, false: 3, integer: 4, double: 5, string: 6, array: 7, object: 8 } as const;

/** Entries are hashed each by itself and added, which makes their order irrelevant without sorting. */
function mixRecord(record: { readonly [key: string]: Json }): void {
  const [outer0, outer1] = [lane(0), lane(1)];
  let sum0 = 0;
  let sum1 = 0;
  let count = 0;
  for (const key of Object.keys(record)) {
    start();
    mixText(key);
    mixValue(record[key] ?? null);
    finish();
    sum0 = (sum0 + lane(0)) | 0;
    sum1 = (sum1 + lane(1)) | 0;
    count++;
  }
  lanes[0] = outer0;
  lanes[1] = outer1;
  mix(kinds.object);
  mix(count);
  mix(sum0);
  mix(sum1);
}

function mixNumber(value: number): void {
  // Also takes -0 for 0; plain JSON has only one of them.
  if ((value | 0) === value) {
    mix(kinds.integer);
    mix(value);
    return;
  }
  double.setFloat64(0, value);
  mix(kinds.double);
  mix(double.getInt32(0));
  mix(double.getInt32(4));
}

function mix(word: number): void {
  lanes[0] = step0(lane(0), word);
  lanes[1] = step1(lane(1), word);
}

function mixText(text: string): void {
  const { length } = text;
  let h0 = step0(lane(0), length);
  let h1 = step1(lane(1), length);
  const pairs = length - (length % 2);
  for (let i = 0; i < pairs; i += 2) {
    const word = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16);
    h0 = step0(h0, word);
    h1 = step1(h1, word);
  }
  if (pairs < length) {
    h0 = step0(h0, text.charCodeAt(pairs));
    h1 = step1(h1, text.charCodeAt(pairs));
  }
  lanes[0] = h0;
  lanes[1] = h1;
}

function step0(h: number, word: number): number {
  let k = imul(word, 0x239b961b);
  k = imul((k << 15) | (k >>> 17), 0xab0e9789);
  const mixed = h ^ k;
  return (imul((mixed << 19) | (mixed >>> 13), 5) + 0x561ccd1b) | 0;
}

function step1(h: number, word: number): number {
  let k = imul(word, 0xab0e9789);
  k = imul((k << 16) | (k >>> 16), 0x38b34ae5);
  const mixed = h ^ k;
  return (imul((mixed << 17) | (mixed >>> 15), 5) + 0x0bcaa747) | 0;
}

function start(): void {
  lanes[0] = 0;
  lanes[1] = 0;
}

/** Each lane sees the other, then every bit of it reaches every bit of the result. */
function finish(): void {
  const sum = (lane(0) + lane(1)) | 0;
  const first = finalize(sum);
  const second = finalize((lane(1) + sum) | 0);
  lanes[0] = (first + second) | 0;
  lanes[1] = (second + lane(0)) | 0;
}

function finalize(h: number): number {
  let mixed = imul(h ^ (h >>> 16), 0x85ebca6b);
  mixed = imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function lane(index: 0 | 1): number {
  return lanes[index] ?? 0;
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}
