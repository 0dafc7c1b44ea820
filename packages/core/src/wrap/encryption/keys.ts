import { CapabilityError, ValidationError } from "../../errors.js";
import { type Aes, type Bytes, type Mac, type Primitives, findPrimitives } from "./aes.js";

/** A key with the name under which it stands beside what it has encrypted. */
export interface EncryptionKey {
  /** 1 to 32 of the characters `A-Z a-z 0-9 . _ -`. It is stored in plain text, and names this key for ever. */
  readonly id: string;
  /** 32 random bytes. They are copied: the array may be cleared afterwards. */
  readonly key: Uint8Array;
}

/** What is made of a key. It encrypts and decrypts, and gives out no key. */
export interface DerivedKey {
  readonly id: string;
  /** For states, entries and records, with random nonces. */
  readonly content: Promise<Aes>;
  /** For digests, with nonces made of the digest by `digestNonce`, so that equal ones stay equal. */
  readonly digest: Promise<Aes>;
  readonly digestNonce: Promise<Mac>;
}

export interface Keys {
  /** The one that writes. */
  readonly current: DerivedKey;
  get(id: string): DerivedKey | undefined;
}

const keyBytes = 32;
const longestId = 32;

/**
 * Checks the keys and prepares them.
 * @throws `INVALID_CONFIGURATION`, `CAPABILITY_MISSING` where the runtime has no WebCrypto
 */
export function prepareKeys(keys: readonly EncryptionKey[], operation: string): Keys {
  checkKeys(keys, operation);
  const primitives = findPrimitives();
  if (primitives === undefined)
    throw new CapabilityError(`${operation}: this runtime has no WebCrypto (\`crypto.subtle\`)`, {
      operation,
    });
  const derived = new Map(keys.map((one) => [one.id, derive(primitives, one)]));
  const [current] = derived.values();
  if (current === undefined) throw invalid(operation, "`keys` is empty");
  return { current, get: (id) => derived.get(id) };
}

/** Purposes never share a key: what is known of one says nothing of another. */
function derive(primitives: Primitives, { id, key }: EncryptionKey): DerivedKey {
  const copy = new Uint8Array(key);
  async function keyFor<T>(purpose: string, make: (bytes: Bytes) => T | Promise<T>): Promise<T> {
    const bytes = await primitives.derive(copy, `waymark encryption 1 ${purpose}`);
    try {
      return await make(bytes);
    } finally {
      bytes.fill(0);
    }
  }
  const derived = {
    content: keyFor("content", primitives.aes),
    digest: keyFor("digest", primitives.aes),
    digestNonce: keyFor("digest nonce", primitives.mac),
  };
  // Who uses one that could not be made is told; nobody may.
  void Promise.allSettled(Object.values(derived)).then(() => copy.fill(0));
  return { id, ...derived };
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

function invalid(operation: string, problem: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `${operation}: ${problem}`, { operation });
}
