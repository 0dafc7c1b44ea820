import { toBase64 } from "../../codec/base64.js";

export type Bytes = Uint8Array<ArrayBuffer>;

type Awaitable<T> = T | Promise<T>;

/** AES-256-GCM with one key. What is encrypted ends with the 16 bytes of its tag. */
export interface Aes {
  /** `beside` is not in the answer, and has to be the same to decrypt it. */
  encrypt(plain: Bytes, nonce: Bytes, beside: Bytes): Awaitable<Bytes>;
  /** Throws or rejects for all that `encrypt` did not make of this key, nonce and `beside`. */
  decrypt(encrypted: Bytes, nonce: Bytes, beside: Bytes): Awaitable<Bytes>;
}

/** HMAC-SHA-256 with one key. */
export type Mac = (bytes: Bytes) => Awaitable<Bytes>;

/** What the encryption is made of. All implementations give the same bytes. Keys are copied before a call returns. */
export interface Primitives {
  /** 32 bytes by HKDF-SHA-256 without a salt. */
  derive(key: Bytes, info: string): Awaitable<Bytes>;
  aes(key: Bytes): Awaitable<Aes>;
  mac(key: Bytes): Awaitable<Mac>;
}

const keyBytes = 32;
const tagBytes = 16;
const gcm = "aes-256-gcm";
const noSalt = new Uint8Array();

/**
 * The runtime's own crypto where it has any that works, since WebCrypto hands each call to another thread, which takes longer
 * than to encrypt a message; else WebCrypto. Undefined: it has neither.
 */
export function findPrimitives(): Primitives | undefined {
  const own = ownPrimitives();
  if (own !== undefined) return own;
  // A browser has it only where the page came by https.
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  return typeof subtle === "object" ? webPrimitives(subtle) : undefined;
}

function ownPrimitives(): Primitives | undefined {
  try {
    const host: unknown = Reflect.get(globalThis, "process");
    const found: unknown = Reflect.apply(Reflect.get(Object(host), "getBuiltinModule"), host, [
      "node:crypto",
    ]);
    if (!isNodeCrypto(found)) return undefined;
    const primitives = nodePrimitives(found);
    return isAble(primitives) ? primitives : undefined;
  } catch {
    return undefined;
  }
}

export function webPrimitives(subtle: SubtleCrypto): Primitives {
  const importKey = (key: Bytes, algorithm: string | HmacImportParams, usages: KeyUsage[]) =>
    subtle.importKey("raw", key, algorithm, false, usages);
  return {
    async derive(key, info) {
      const from = await importKey(key, "HKDF", ["deriveBits"]);
      const algorithm = { name: "HKDF", hash: "SHA-256", salt: noSalt, info: new TextEncoder().encode(info) };
      return new Uint8Array(await subtle.deriveBits(algorithm, from, keyBytes * 8));
    },

    async aes(bytes) {
      const key = await importKey(bytes, "AES-GCM", ["encrypt", "decrypt"]);
      const algorithm = (iv: Bytes, additionalData: Bytes) => ({ name: "AES-GCM", iv, additionalData });
      return {
        encrypt: async (plain, nonce, beside) =>
          new Uint8Array(await subtle.encrypt(algorithm(nonce, beside), key, plain)),
        decrypt: async (encrypted, nonce, beside) =>
          new Uint8Array(await subtle.decrypt(algorithm(nonce, beside), key, encrypted)),
      };
    },

    async mac(bytes) {
      const key = await importKey(bytes, { name: "HMAC", hash: "SHA-256" }, ["sign"]);
      return async (data) => new Uint8Array(await subtle.sign("HMAC", key, data));
    },
  };
}

/** What is used of Node's `node:crypto`, which other runtimes have too. */
interface NodeCrypto {
  createSecretKey(key: Bytes): SecretKey;
  hkdfSync(digest: string, key: Bytes, salt: Bytes, info: string, length: number): ArrayBuffer;
  createHmac(digest: string, key: SecretKey): Hmac;
  createCipheriv(name: string, key: SecretKey, nonce: Bytes, options: TagLength): Cipher;
  createDecipheriv(name: string, key: SecretKey, nonce: Bytes, options: TagLength): Decipher;
}

interface SecretKey {
  readonly symmetricKeySize?: number | undefined;
}

interface TagLength {
  readonly authTagLength: number;
}

interface Hmac {
  update(bytes: Bytes): Hmac;
  digest(): Bytes;
}

interface Cipher {
  setAAD(beside: Bytes): void;
  update(bytes: Bytes): Bytes;
  final(): Bytes;
  getAuthTag(): Bytes;
}

interface Decipher {
  setAAD(beside: Bytes): void;
  setAuthTag(tag: Bytes): void;
  update(bytes: Bytes): Bytes;
  final(): Bytes;
}

function isNodeCrypto(found: unknown): found is NodeCrypto {
  if (typeof found !== "object" || found === null) return false;
  const names = ["createSecretKey", "hkdfSync", "createHmac", "createCipheriv", "createDecipheriv"];
  return names.every((name) => typeof Reflect.get(found, name) === "function");
}

/** GCM is a stream: `final` gives no bytes, and throws where the tag is of something else. */
function nodePrimitives(crypto: NodeCrypto) {
  const options = { authTagLength: tagBytes };
  return {
    derive: (key: Bytes, info: string): Bytes =>
      new Uint8Array(crypto.hkdfSync("sha256", key, noSalt, info, keyBytes)),

    aes(bytes: Bytes) {
      const key = crypto.createSecretKey(bytes);
      return {
        encrypt(plain: Bytes, nonce: Bytes, beside: Bytes): Bytes {
          const cipher = crypto.createCipheriv(gcm, key, nonce, options);
          cipher.setAAD(beside);
          const encrypted = new Uint8Array(plain.length + tagBytes);
          encrypted.set(cipher.update(plain));
          cipher.final();
          encrypted.set(cipher.getAuthTag(), plain.length);
          return encrypted;
        },
        decrypt(encrypted: Bytes, nonce: Bytes, beside: Bytes): Bytes {
          const decipher = crypto.createDecipheriv(gcm, key, nonce, options);
          decipher.setAAD(beside);
          decipher.setAuthTag(encrypted.subarray(-tagBytes));
          const plain = decipher.update(encrypted.subarray(0, -tagBytes));
          decipher.final();
          return plain;
        },
      };
    },

    mac(bytes: Bytes) {
      const key = crypto.createSecretKey(bytes);
      return (data: Bytes): Bytes => crypto.createHmac("sha256", key).update(data).digest();
    },
  };
}

/** What `isAble` has to encrypt. */
const known = "/qKwIYlyIZmDQ3ZxQVjTVVCv06kuiHSAXkMGfuTJuu94Njw8hV3Lgm/t7irnnad8";

/**
 * Whether it does all of it; throws where it does not. Runtimes other than Node have had functions of these names that throw
 * when they are called, and a `final` that did not look at the tag.
 */
function isAble({ derive, aes, mac }: ReturnType<typeof nodePrimitives>): boolean {
  const key = derive(new Uint8Array(keyBytes), "");
  const nonce = mac(key)(key).subarray(0, 12);
  const { encrypt, decrypt } = aes(key);
  const encrypted = encrypt(key, nonce, key);
  const plain = decrypt(encrypted, nonce, key);
  return (
    toBase64(encrypted) === known &&
    toBase64(plain) === toBase64(key) &&
    isRefused(() => decrypt(encrypted, nonce, nonce))
  );
}

function isRefused(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch {
    return true;
  }
}
