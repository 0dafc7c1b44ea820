import type { SeenRow, Turns } from "../contract/turns.js";

/** The most that one call removes. */
export const largestRemoval = 100;

interface Waiting {
  readonly row: SeenRow;
  resolve(isRemoved: boolean): void;
  reject(error: unknown): void;
}

/** Removes sessions by a store that takes many in one call: those that are asked for at the same moment go together. */
export function createRemovals(remove: NonNullable<Turns["remove"]>): (row: SeenRow) => Promise<boolean> {
  let waiting: Waiting[] = [];

  async function send(): Promise<void> {
    const together = waiting.slice(0, largestRemoval);
    waiting = waiting.slice(largestRemoval);
    if (waiting.length > 0) queueMicrotask(() => void send());
    try {
      const answers = await remove(together.map(({ row: { id, revision } }) => ({ id, revision })));
      together.forEach(({ resolve }, index) => resolve(answers[index] === true));
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }

  return (row) =>
    new Promise((resolve, reject) => {
      waiting.push({ row, resolve, reject });
      // Whoever was called in the same moment is as far as this one when the next job runs.
      if (waiting.length === 1) queueMicrotask(() => void send());
    });
}
