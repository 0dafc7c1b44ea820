import { crc32 } from "node:zlib";

/** First bytes of each file. Another number is another format. */
export const formatVersion = 1;
export const fileHeader = Buffer.from(`waymark-session ${formatVersion}`);

/**
 * One record, a line of its own: line feed, CRC-32 of the rest in hex, then in decimals the end of the record before it,
 * the offset at which the writer expects it to stand, the length of its JSON, and the JSON, which has no line feed inside.
 */
export interface Frame {
  readonly previous: number;
  /** Where the writer expected the end of the file to be. Standing anywhere else, it lost to another writer. */
  readonly at: number;
  readonly end: number;
  readonly json: Buffer;
}

const checksumLength = 8;
const lineFeed = 10;
const space = 32;

export function encodeFrame(at: number, previous: number, json: string): Buffer {
  const length = Buffer.byteLength(json);
  const head = ` ${previous} ${at} ${length} `;
  const bodyAt = 1 + checksumLength;
  const frame = Buffer.allocUnsafe(bodyAt + head.length + length);
  frame[0] = lineFeed;
  frame.write(head, bodyAt, "latin1");
  frame.write(json, bodyAt + head.length);
  frame.write(checksum(frame.subarray(bodyAt)), 1, "latin1");
  return frame;
}

/** Reads the record that begins at `start`. Null: there is no whole record with a right checksum. */
export function decodeFrame(bytes: Buffer, start: number, fileOffset: number): Frame | null {
  const bodyAt = start + 1 + checksumLength;
  if (bytes[start] !== lineFeed || bytes[bodyAt] !== space) return null;
  let position = bodyAt + 1;
  const numbers: number[] = [];
  for (let count = 0; count < 3; count++) {
    const end = bytes.indexOf(space, position);
    if (end < 0 || end === position || end - position > 16) return null;
    const number = Number(bytes.toString("latin1", position, end));
    if (!Number.isSafeInteger(number)) return null;
    numbers.push(number);
    position = end + 1;
  }
  const [previous = 0, at = 0, length = 0] = numbers;
  const end = position + length;
  if (end > bytes.length || length < 0) return null;
  if (bytes.toString("latin1", start + 1, bodyAt) !== checksum(bytes.subarray(bodyAt, end))) return null;
  return { previous, at, end: fileOffset + end, json: bytes.subarray(position, end) };
}

/** The next place where a record may begin, or -1. */
export function nextLine(bytes: Buffer, from: number): number {
  return bytes.indexOf(lineFeed, from);
}

/** The last place where a record may begin, or -1. */
export function lastLine(bytes: Buffer): number {
  return bytes.lastIndexOf(lineFeed);
}

function checksum(bytes: Buffer): string {
  return crc32(bytes).toString(16).padStart(checksumLength, "0");
}
