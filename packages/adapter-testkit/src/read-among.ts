import assert from "node:assert/strict";
import { setImmediate as breathe } from "node:timers/promises";
import { numbers } from "./generate.js";

/** Reads again and again while somebody writes so many times, and at least once. What fails first ends it. */
export async function readAmong(
  read: () => Promise<void>,
  times: number,
  write: (n: number) => Promise<void>,
): Promise<void> {
  const writing = { isOver: false };
  const reading = (async () => {
    for (let reads = 0; !writing.isOver || reads === 0; reads++) {
      // A store that answers without waiting would let nobody else have a turn.
      await breathe();
      await read();
    }
  })();
  try {
    for (const n of numbers(1, times))
      await Promise.race([write(n), reading.then(() => assert.fail("the reader ended"))]);
  } finally {
    writing.isOver = true;
  }
  await reading;
}
