import type { PersistenceAdapter } from "../contract/adapter.js";
import { storageError } from "../errors.js";

/** An adapter may serve several managers: it is initialized by the first and disconnected by the last. */
export interface Connection {
  /** Resolves when the adapter is ready; a failed start is tried again by the next call. */
  ready(): Promise<void>;
  release(): Promise<void>;
}

interface Shared {
  users: number;
  started: Promise<void> | null;
  /** The last disconnect; a new start waits for it. */
  stopped: Promise<void>;
}

const connections = new WeakMap<PersistenceAdapter, Shared>();

export function connect(adapter: PersistenceAdapter): Connection {
  const shared = connections.get(adapter) ?? { users: 0, started: null, stopped: Promise.resolve() };
  connections.set(adapter, shared);
  shared.users++;

  async function start(): Promise<void> {
    await shared.stopped.catch(() => {});
    try {
      await adapter.initialize?.();
    } catch (error) {
      shared.started = null;
      throw storageError(error, { operation: "initialize" });
    }
  }

  return {
    ready: () => (shared.started ??= start()),
    release: async () => {
      shared.users--;
      if (shared.users > 0) return;
      shared.started = null;
      shared.stopped = Promise.resolve(adapter.disconnect?.());
      await shared.stopped;
    },
  };
}
