import { abortedError } from "./patience.js";

/** Runs the work of each session in the order in which it was handed in, one at a time; sessions do not wait for each other. */
export interface Lanes {
  /** @param signal ends the waiting for earlier work with `ABORTED`; work that has begun minds its own signal. */
  run<T>(id: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Resolves when all work that was handed in before is done. */
  idle(): Promise<void>;
}

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>();

  function run<T>(id: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = tails.get(id);
    if (before !== undefined && signal !== undefined) return runUnlessAborted(id, work, signal);
    const result = before === undefined ? work() : before.then(work, work);
    const tail: Promise<void> = result.then(
      () => release(id, tail),
      () => release(id, tail),
    );
    tails.set(id, tail);
    return result;
  }

  function runUnlessAborted<T>(id: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(abortedError(signal, id));
      const begin = async () => {
        signal.removeEventListener("abort", abort);
        if (!signal.aborted) await work().then(resolve, reject);
      };
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      void run(id, begin);
    });
  }

  function release(id: string, tail: Promise<unknown>): void {
    if (tails.get(id) === tail) tails.delete(id);
  }

  async function idle(): Promise<void> {
    await Promise.all(tails.values());
  }

  return { run, idle };
}
