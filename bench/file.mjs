// The file store against the same file operations by hand: lock, append, make durable, unlock. Both alternate in one run.
import { closeSync, openSync, unlinkSync, writeSync, mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PersistenceManager } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import { bookingSession, exchange } from "./session.mjs";
import { median, row } from "./stats.mjs";

/** The same bytes as the store has to append for such a turn, made and written in the least number of calls. */
async function byHand(directory) {
  const lock = join(directory, "lock");
  const file = await open(join(directory, "log"), "a", 0o600);
  const session = bookingSession("s");
  return {
    turn: async () => {
      const held = openSync(lock, "wx", 0o600);
      writeSync(held, `${process.pid}`);
      closeSync(held);
      await file.appendFile(`${JSON.stringify({ session, exchange })}\n`);
      await file.datasync();
      unlinkSync(lock);
    },
    close: () => file.close(),
  };
}

async function compare(manager, session, hand, pairs) {
  const ratios = [];
  const time = async (work) => {
    const begin = performance.now();
    await work();
    return performance.now() - begin;
  };
  const turn = () => {
    session.data.count0++;
    return manager.saveTurn({ session, messages: exchange });
  };
  for (let pair = 0; pair < pairs; pair++) {
    // A few of each in a row: a single one is too short to compare on a disk that others use too.
    const first = await time(async () => {
      for (let i = 0; i < 5; i++) await hand.turn();
    });
    const second = await time(async () => {
      for (let i = 0; i < 5; i++) await turn();
    });
    ratios.push(second / first);
  }
  return median(ratios);
}

export async function benchFile() {
  const directory = mkdtempSync(join(tmpdir(), "waymark-bench-"));
  const hand = await byHand(directory);
  const manager = new PersistenceManager({
    adapter: new FileAdapter({ directory: join(directory, "sessions") }),
  });
  try {
    const session = bookingSession("s");
    for (let turn = 0; turn < 10; turn++) await manager.saveTurn({ session, messages: exchange });
    // A process that has just started is slower: that is not what is asked here.
    await compare(manager, bookingSession("warm"), hand, 400);
    const early = await compare(manager, session, hand, 100);
    const kept = row("file store against the same operations by hand, from turn 10", early, 1.3);
    for (let turn = 1010; turn < 10_000; turn++) await manager.saveTurn({ session, messages: exchange });
    const late = await compare(manager, session, hand, 100);
    return row("the same, from turn 10,000", late, 1.3) && kept;
  } finally {
    await manager.close();
    await hand.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
