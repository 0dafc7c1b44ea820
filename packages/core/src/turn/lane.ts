/** Runs the work of each session in the order in which it was handed in, one at a time; sessions do not wait for each other. */
export interface Lanes {
  run<T>(id: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when no work is left. */
  idle(): Promise<void>;
}

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>();

  function run<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = tails.get(id);
    const result = before === undefined ? work() : before.then(work, work);
    const tail: Promise<void> = result.then(
      () => release(id, tail),
      () => release(id, tail),
    );
    tails.set(id, tail);
    return result;
  }

  function release(id: string, tail: Promise<unknown>): void {
    if (tails.get(id) === tail) tails.delete(id);
  }

  async function idle(): Promise<void> {
    while (tails.size > 0) await Promise.all(tails.values());
  }

  return { run, idle };
}
