import type { PersistenceAdapter } from "../contract/adapter.js";
import { type WaymarkError, storageError } from "../errors.js";
import type { TurnEnvironment } from "../turn/environment.js";

/** What the store answers when it is asked how it is. */
export interface Health {
  /** Whether it answered, in time. */
  readonly reachable: boolean;
  /** How long that took, in milliseconds. */
  readonly latencyMs: number;
  /** The server and its version, in the words of the adapter; null where it does not say. */
  readonly server: string | null;
  /** Of the store's own tables or files, not of the application's schema; null where the adapter does not say. */
  readonly schemaVersion: number | null;
  /** Whether it takes writes; null where the adapter does not say. */
  readonly writable: boolean | null;
  /** Why it is not reachable. */
  readonly error?: WaymarkError;
}

/** An id that nobody has to have: only the answer counts. */
const nobody = "waymark:health";
const longestTimer = 2 ** 31 - 1;

/** Never throws for what the store does. @param connect resolves when the adapter is ready. */
export async function checkHealth(
  adapter: PersistenceAdapter,
  connect: () => Promise<unknown>,
  { now }: TurnEnvironment,
  timeoutMs: number,
): Promise<Health> {
  const began = now();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const ms = Math.min(timeoutMs, longestTimer);
    timer = setTimeout(() => reject(new Error(`the store did not answer within ${ms} ms`)), ms);
  });
  try {
    const described = await Promise.race([ask(adapter, connect), late]);
    const { server = null, schemaVersion = null, writable = null } = described ?? {};
    return { reachable: true, latencyMs: now() - began, server, schemaVersion, writable };
  } catch (cause) {
    const error = storageError(cause, { operation: "health", code: "STORAGE_UNAVAILABLE" });
    const unknown = { server: null, schemaVersion: null, writable: null };
    return { reachable: false, latencyMs: now() - began, ...unknown, error };
  } finally {
    clearTimeout(timer);
  }
}

type Described = Awaited<ReturnType<NonNullable<PersistenceAdapter["describe"]>>>;

async function ask(
  adapter: PersistenceAdapter,
  connect: () => Promise<unknown>,
): Promise<Described | undefined> {
  await connect();
  if (adapter.describe !== undefined) return adapter.describe();
  await adapter.sessionRepository.findById(nobody);
  return undefined;
}
