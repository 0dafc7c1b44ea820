import { CapabilityError, ValidationError } from "../../errors.js";

/** A key with the name under which it stands beside what it has encrypted. */
export interface EncryptionKey {
  /** 1 to 32 of the characters `A-Z a-z 0-9 . _ -`. It is stored in plain text, and names this key for ever. */
  readonly id: string;
  /** 32 random bytes. They are copied: the array may be cleared afterwards. */
  readonly key: Uint8Array;
}

/** What is made of a key; none of it can be read out again. */
export interface DerivedKey {
  readonly id: string;
  /** For states, entries and records: AES-256-GCM with random nonces. */
  readonly content: Promise<CryptoKey>;
  /** For digests: AES-256-GCM, with nonces made of the digest by `digestNonce`, so that equal ones stay equal. */
  readonly digest: Promise<CryptoKey>;
  readonly digestNonce: Promise<CryptoKey>;
}

export interface Keys {
  /** The one that writes. */
  readonly current: DerivedKey;
  get(id: string): DerivedKey | undefined;
}

const keyBytes = 32;
const longestId = 32;
const aes = { name: "AES-GCM", length: 256 };
const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };

/**
 * Checks the keys and prepares them.
 * @throws `INVALID_CONFIGURATION`, `CAPABILITY_MISSING` where the runtime has no WebCrypto
 */
export function prepareKeys(keys: readonly EncryptionKey[], operation: string): Keys {
  checkKeys(keys, operation);
  const { subtle } = cryptoOf(operation);
  const derived = new Map(keys.map((one) => [one.id, derive(subtle, one)]));
  const [current] = derived.values();
  if (current === undefined) throw invalid(operation, "`keys` is empty");
  return { current, get: (id) => derived.get(id) };
}

/** Purposes never share a key: what is known of one says nothing of another. */
function derive(subtle: SubtleCrypto, { id, key }: EncryptionKey): DerivedKey {
  const base = subtle.importKey("raw", new Uint8Array(key), "HKDF", false, ["deriveKey"]);
  const keyFor = (purpose: string, algorithm: AesKeyGenParams | HmacKeyGenParams, usages: KeyUsage[]) => {
    const info = new TextEncoder().encode(`waymark encryption 1 ${purpose}`);
    const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
    const derived = base.then((from) => subtle.deriveKey(hkdf, from, algorithm, false, usages));
    // Whoever uses it is told; nobody may.
    derived.catch(() => {});
    return derived;
  };
  return {
    id,
    content: keyFor("content", aes, ["encrypt", "decrypt"]),
    digest: keyFor("digest", aes, ["encrypt", "decrypt"]),
    digestNonce: keyFor("digest nonce", hmac, ["sign"]),
  };
}

function checkKeys(keys: unknown, operation: string): asserts keys is readonly EncryptionKey[] {
  if (!Array.isArray(keys) || keys.length === 0)
    throw invalid(operation, "`keys` must be a list of at least one key");
  const ids = new Set<unknown>();
  keys.forEach((one: unknown, index) => {
    const { id, key }: { id?: unknown; key?: unknown } = typeof one === "object" && one !== null ? one : {};
    if (typeof id !== "string" || id.length > longestId || !/^[\w.-]+$/.test(id))
      throw invalid(
        operation,
        `the id of key ${index + 1} must be 1 to ${longestId} of the characters A-Z a-z 0-9 . _ -`,
      );
    if (ids.has(id)) throw invalid(operation, `two keys have the id "${id}"`);
    ids.add(id);
    if (!ArrayBuffer.isView(key) || !(key instanceof Uint8Array) || key.length !== keyBytes)
      throw invalid(operation, `the key "${id}" must be a Uint8Array of exactly ${keyBytes} bytes`);
  });
}

function cryptoOf(operation: string): Crypto {
  // A browser has it only where the page came by https.
  const found: Crypto | undefined = globalThis.crypto;
  if (typeof found?.subtle === "object") return found;
  throw new CapabilityError(`${operation}: this runtime has no WebCrypto (\`crypto.subtle\`)`, { operation });
}

function invalid(operation: string, problem: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `${operation}: ${problem}`, { operation });
}
