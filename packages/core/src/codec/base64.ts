const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const codes = Uint8Array.from(alphabet, (letter) => letter.charCodeAt(0));
const invalid = 255;
const values = new Uint8Array(128).fill(invalid);
codes.forEach((code, value) => {
  values[code] = value;
});
const padding = 0x3d;
/** How many arguments `String.fromCharCode` takes at once in every engine. */
const chunk = 8_192;

/** What is used of Node's `Buffer`, which Deno and Bun have too: for a message ten times as fast as the loops below. */
interface Buffers {
  from(bytes: ArrayBufferLike, offset: number, length: number): { toString(encoding: string): string };
  from(text: string, encoding: string): Uint8Array;
}

function buffers(): Buffers | undefined {
  const found: unknown = Reflect.get(globalThis, "Buffer");
  return isBuffers(found) ? found : undefined;
}

function isBuffers(found: unknown): found is Buffers {
  return typeof found === "function" && "from" in found && typeof found.from === "function";
}

/** Standard base64 with padding. Written out for those runtimes that have neither `btoa` nor `Buffer`. */
export function toBase64(bytes: Uint8Array): string {
  const own = buffers()?.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (own !== undefined) return own.toString("base64");
  const letters = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (byteAt(bytes, i) << 16) | (byteAt(bytes, i + 1) << 8) | byteAt(bytes, i + 2);
    letters[at++] = byteAt(codes, group >> 18);
    letters[at++] = byteAt(codes, (group >> 12) & 63);
    letters[at++] = i + 1 < bytes.length ? byteAt(codes, (group >> 6) & 63) : padding;
    letters[at++] = i + 2 < bytes.length ? byteAt(codes, group & 63) : padding;
  }
  let text = "";
  for (let i = 0; i < letters.length; i += chunk) {
    text += Reflect.apply(String.fromCharCode, undefined, letters.subarray(i, i + chunk));
  }
  return text;
}

/** The bytes, or null unless the text is exactly what {@link toBase64} makes of some bytes. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 !== 0) return null;
  const own = buffers()?.from(text, "base64");
  // It skips what is no base64, and has its bytes among those of others.
  if (own !== undefined) return toBase64(own) === text ? new Uint8Array(own) : null;
  const padded = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const letters = text.length - padded;
  const bytes = new Uint8Array((text.length / 4) * 3 - padded);
  let at = 0;
  let buffer = 0;
  let bits = 0;
  for (let i = 0; i < letters; i++) {
    const value = values[text.charCodeAt(i)] ?? invalid;
    if (value === invalid) return null;
    buffer = ((buffer << 6) | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = buffer >> bits;
  }
  return (buffer & ((1 << bits) - 1)) === 0 ? bytes : null;
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
