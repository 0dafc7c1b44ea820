import { fromBase64, toBase64 } from "../../codec/base64.js";
import type { Json } from "../../contract/json.js";
import { WaymarkError } from "../../errors.js";
import type { Aes, Bytes } from "./aes.js";
import type { DerivedKey, Keys } from "./keys.js";

/** What something is and where it stands: it decrypts there and nowhere else. */
export type Place = readonly [kind: string, ...where: (string | number | null)[]];

/** Who asks, for errors. */
export interface Asking {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** Encrypts and decrypts values and digests, each for its place. */
export interface Cipher {
  /** Takes its copy of the value before it returns. Never twice the same for one value. */
  seal(value: Json, place: Place): Promise<Json>;
  /** @throws `DECRYPTION_FAILED`, `ENCRYPTION_KEY_MISSING`, `NOT_ENCRYPTED` */
  open(stored: Json, place: Place, asking: Asking): Promise<Json>;
  /** Always the same for one text, place and key, so that a store can compare it. */
  sealDigest(text: string, place: Place): Promise<string>;
  /** @throws as `open` does */
  openDigest(stored: string, place: Place, asking: Asking): Promise<string>;
  isSealed(stored: Json): boolean;
  /** Whether it is encrypted, and by the key that writes now. */
  isCurrent(stored: Json): boolean;
  isCurrentDigest(stored: string): boolean;
}

/** The one key of an encrypted value. The codec escapes names that begin so, hence no value of an application has it. */
const tag = "~aes";
/** Begins an encrypted digest. */
const digestMark = "~aes:";
const nonceBytes = 12;
const leastBytes = nonceBytes + 16;

/** An encrypted text: the id of its key, a colon, and nonce, ciphertext and authentication tag as base64. */
interface Sealed {
  readonly keyId: string;
  readonly text: string;
}

const digestsRemembered = 8192;

/**
 * A row brings its last sixteen operations with it at every read and write, and all but one are known by then. The older
 * half goes at once: to find the oldest in a map that loses its oldest each time takes as long as to encrypt.
 */
function createDigests() {
  let [recent, older] = [new Map<string, string>(), new Map<string, string>()];
  const keyOf = (what: "sealed" | "text", place: Place, of: string) => JSON.stringify([what, place, of]);
  return {
    get(what: "sealed" | "text", place: Place, of: string): string | undefined {
      const key = keyOf(what, place, of);
      return recent.get(key) ?? older.get(key);
    },
    set(what: "sealed" | "text", place: Place, of: string, answer: string): void {
      if (recent.size >= digestsRemembered / 2) [recent, older] = [new Map(), recent];
      recent.set(keyOf(what, place, of), answer);
    },
  };
}

export function createCipher(keys: Keys, acceptsPlaintext: boolean): Cipher {
  const digests = createDigests();

  async function decrypt(
    { keyId, text }: Sealed,
    place: Place,
    asking: Asking,
    choose: (key: DerivedKey) => Promise<Aes>,
  ): Promise<string> {
    const key = keys.get(keyId);
    if (key === undefined) throw keyMissing(keyId, place, asking);
    const bytes = fromBase64(text);
    if (bytes === null || bytes.length < leastBytes) throw damaged(place, asking);
    const aes = await choose(key);
    const [nonce, encrypted] = [bytes.subarray(0, nonceBytes), bytes.subarray(nonceBytes)];
    try {
      return new TextDecoder().decode(await aes.decrypt(encrypted, nonce, bytesOf(place)));
    } catch (cause) {
      throw damaged(place, asking, cause);
    }
  }

  return {
    async seal(value, place) {
      const plain = bytesOf(value);
      const nonce = crypto.getRandomValues(new Uint8Array(nonceBytes));
      const { id, content } = keys.current;
      return { [tag]: `${id}:${await encrypt(plain, nonce, place, content)}` };
    },

    async open(stored, place, asking) {
      const sealed = sealedOf(stored);
      if (sealed !== null) return JSON.parse(await decrypt(sealed, place, asking, ({ content }) => content));
      if (acceptsPlaintext) return stored;
      throw notEncrypted(place, asking);
    },

    async sealDigest(text, place) {
      const known = digests.get("sealed", place, text);
      if (known !== undefined) return known;
      const { id, digest, digestNonce } = keys.current;
      const plain = bytesOf(text);
      const mac = await digestNonce;
      const nonce = (await mac(bytesOf([place, text]))).subarray(0, nonceBytes);
      const sealed = `${digestMark}${id}:${await encrypt(plain, nonce, place, digest)}`;
      digests.set("sealed", place, text, sealed);
      digests.set("text", place, sealed, text);
      return sealed;
    },

    async openDigest(stored, place, asking) {
      const sealed = sealedDigestOf(stored);
      if (sealed !== null) {
        const known = digests.get("text", place, stored);
        if (known !== undefined) return known;
        const text: string = JSON.parse(await decrypt(sealed, place, asking, ({ digest }) => digest));
        digests.set("text", place, stored, text);
        return text;
      }
      if (acceptsPlaintext) return stored;
      throw notEncrypted(place, asking);
    },

    isSealed: (stored) => sealedOf(stored) !== null,
    isCurrent: (stored) => sealedOf(stored)?.keyId === keys.current.id,
    isCurrentDigest: (stored) => sealedDigestOf(stored)?.keyId === keys.current.id,
  };
}

async function encrypt(plain: Bytes, nonce: Bytes, place: Place, key: Promise<Aes>): Promise<string> {
  const aes = await key;
  const encrypted = await aes.encrypt(plain, nonce, bytesOf(place));
  const bytes = new Uint8Array(nonce.length + encrypted.length);
  bytes.set(nonce);
  bytes.set(encrypted, nonce.length);
  return toBase64(bytes);
}

/** JSON, so that no two places have one text, whatever stands in their names. */
function bytesOf(value: Json): Bytes {
  return new TextEncoder().encode(JSON.stringify(value));
}

function sealedOf(stored: Json): Sealed | null {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) return null;
  const [[key, text] = [], second] = Object.entries(stored);
  return key === tag && typeof text === "string" && second === undefined ? parse(text) : null;
}

function sealedDigestOf(stored: string): Sealed | null {
  return stored.startsWith(digestMark) ? parse(stored.slice(digestMark.length)) : null;
}

function parse(text: string): Sealed | null {
  const colon = text.indexOf(":");
  const keyId = text.slice(0, Math.max(0, colon));
  return /^[\w.-]{1,32}$/.test(keyId) ? { keyId, text: text.slice(colon + 1) } : null;
}

function damaged([kind]: Place, asking: Asking, cause?: unknown): WaymarkError {
  const message =
    `${asking.operation}: ${kind} does not decrypt: it was changed or moved, or another key had the same id; ` +
    "it was left as it is";
  return new WaymarkError("DECRYPTION_FAILED", message, { ...asking, cause });
}

function keyMissing(keyId: string, [kind]: Place, asking: Asking): WaymarkError {
  const message = `${asking.operation}: ${kind} is encrypted with the key "${keyId}", which is not among \`keys\``;
  return new WaymarkError("ENCRYPTION_KEY_MISSING", message, asking);
}

function notEncrypted([kind]: Place, asking: Asking): WaymarkError {
  const message =
    `${asking.operation}: ${kind} is not encrypted, and plaintext is refused; ` +
    "`encryptStore` encrypts what was stored before";
  return new WaymarkError("NOT_ENCRYPTED", message, asking);
}
