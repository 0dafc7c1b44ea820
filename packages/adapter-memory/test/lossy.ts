import { type PersistenceAdapter, StorageError } from "@waymark/core/adapter";

/** What becomes of a call: it is lost on its way, or its answer is. */
export type Loss = "none" | "request" | "reply";

/** Makes a call, or not. */
export type Line = <T>(name: string, run: () => Promise<T>) => Promise<T>;

/** The same adapter, each call of which goes over a line. */
export function over(adapter: PersistenceAdapter, line: Line): PersistenceAdapter {
  const { name, durability, limits, turns, records } = adapter;
  return {
    ...{ name, durability, limits },
    sessionRepository: part(adapter.sessionRepository, line),
    messageRepository: part(adapter.messageRepository, line),
    turns: turns && part(turns, line),
    records: records && part(records, line),
  };
}

/** A line on which calls and answers get lost; `lost` is called for each. */
export function losing(next: () => Loss, lost: () => Promise<void> = async () => {}): Line {
  return async (name, run) => {
    const loss = next();
    if (loss === "none") return run();
    if (loss === "reply") await run();
    await lost();
    throw noAnswer(name);
  };
}

export function noAnswer(operation: string): StorageError {
  return new StorageError("STORAGE_UNAVAILABLE", `${operation}: this call or its answer is lost`, {
    operation,
  });
}

function part<T extends object>(of: T, line: Line): T {
  return new Proxy(of, {
    get(target, key) {
      const method: unknown = Reflect.get(target, key);
      if (typeof method !== "function") return method;
      return (...values: unknown[]) => line(String(key), async () => Reflect.apply(method, target, values));
    },
  });
}

/** Time that passes only in pauses. */
export function testTime(random: () => number = () => 0.5) {
  const pauses: number[] = [];
  let now = 1_000_000;
  return {
    pauses,
    now: () => now,
    random,
    pause: async (ms: number) => {
      pauses.push(ms);
      now += ms;
    },
  };
}
