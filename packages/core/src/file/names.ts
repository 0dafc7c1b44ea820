import { createHash, randomBytes } from "node:crypto";

const hex = "0123456789abcdef";
const base32 = "abcdefghijklmnopqrstuvwxyz234567";
const longestEscaped = 200;

/**
 * The name of a session's folder: at most 207 characters of `a-z 0-9 _ - =`, so that no two ids meet on a file system that
 * folds case or Unicode forms, none is hidden, reserved or a path. Short ids stay readable: `s-` and the id, each other
 * byte as `=` and two hex digits. What would become too long is `b-` and base32.
 */
export function folderName(id: string): string {
  const bytes = Buffer.from(id, "utf8");
  const escaped = escape(bytes);
  return escaped.length <= longestEscaped ? `s-${escaped}` : `b-${toBase32(bytes)}`;
}

/**
 * The name of the folder for the records of a scope that belongs to no session: `r-` and the scope, as for short ids; what
 * would become too long is `h-` and its SHA-256. The records in it say the scope.
 */
export function scopeFolderName(scope: string): string {
  const bytes = Buffer.from(scope, "utf8");
  const escaped = escape(bytes);
  if (escaped.length <= longestEscaped) return `r-${escaped}`;
  return `h-${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Whether a folder has records that belong to no session. */
export function isScopeFolder(name: string): boolean {
  return /^r-(?:[a-z0-9_-]|=[0-9a-f]{2})+$|^h-[0-9a-f]{64}$/.test(name);
}

/** The id of a folder. Null: this store never gives that name. */
export function idOfFolder(name: string): string | null {
  const body = name.slice(2);
  const bytes = name.startsWith("s-") ? unescape(body) : name.startsWith("b-") ? fromBase32(body) : null;
  if (bytes === null) return null;
  const id = bytes.toString("utf8");
  return folderName(id) === name ? id : null;
}

function escape(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += isPlain(byte) ? String.fromCharCode(byte) : `=${hex.charAt(byte >> 4)}${hex.charAt(byte & 15)}`;
  }
  return text;
}

function isPlain(byte: number): boolean {
  return (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57) || byte === 45 || byte === 95;
}

function unescape(text: string): Buffer | null {
  if (!/^(?:[a-z0-9_-]|=[0-9a-f]{2})+$/.test(text)) return null;
  return Buffer.from(
    text.replace(/=(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    "latin1",
  );
}

function toBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += base32.charAt((value >> (bits - 5)) & 31);
  }
  return bits === 0 ? text : text + base32.charAt((value << (5 - bits)) & 31);
}

function fromBase32(text: string): Buffer | null {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of text) {
    const digit = base32.indexOf(letter);
    if (digit < 0) return null;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
  }
  return Buffer.from(bytes);
}

const logPattern = /^(\d+)-[0-9a-f]+\.log$/;

/** A name that was never used before and never will be again: to remove a file by its name is then always safe. */
export function uniqueName(): string {
  return randomBytes(12).toString("hex");
}

/** The name, without ending, of a session's log in its given generation. */
export function newLogName(generation: number): string {
  return `${generation}-${uniqueName()}`;
}

/** The generation of a log by its file name; null for other files. */
export function generationOf(file: string): number | null {
  const digits = logPattern.exec(file)?.[1];
  return digits === undefined ? null : Number(digits);
}
