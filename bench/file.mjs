// The file store against the same file operations by hand: lock, append, make durable, unlock. Both alternate in one run.
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { PersistenceManager } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import { bookingSession, exchange } from "./session.mjs";
import { median, row } from "./stats.mjs";

const makeDurable = promisify(fdatasync);

/** The same bytes as the store has to append for such a turn, made and written in the least number of calls. */
function byHand(directory) {
  const lock = join(directory, "lock");
  const log = join(directory, "log");
  const session = bookingSession("s");
  return async () => {
    const held = openSync(lock, "wx", 0o600);
    writeSync(held, `${process.pid}`);
    closeSync(held);
    const file = openSync(log, "a", 0o600);
    writeSync(file, `${JSON.stringify({ session, exchange })}\n`);
    unlinkSync(lock);
    await makeDurable(file);
    closeSync(file);
  };
}

/** What the file store is given for such a turn. */
function commitOf(id, session, count) {
  const { data, routeHistory, currentRoute, currentStep } = session;
  const body = {};
  return {
    id,
    expect: { kind: count === 0 ? "create" : "append", life: "life", createdAt: 0 },
    operation: { id: `operation-${count}`, digest: "" },
    revision: `revision-${count}`,
    at: Date.now(),
    set: { state: { data: { ...data, count0: count }, routeHistory, currentRoute, currentStep } },
    messages: exchange.map((message) => ({ userId: null, createdAt: Date.now(), body, ...message })),
    history: [],
  };
}

async function compare(turn, hand, pairs) {
  const ratios = [];
  const time = async (work) => {
    const begin = performance.now();
    // A few of each in a row: a single one is too short to compare on a disk that others use too.
    for (let i = 0; i < 5; i++) await work();
    return performance.now() - begin;
  };
  for (let pair = 0; pair < pairs; pair++) {
    const first = await time(hand);
    ratios.push((await time(turn)) / first);
  }
  return median(ratios);
}

export async function benchFile() {
  const directory = mkdtempSync(join(tmpdir(), "waymark-bench-"));
  const hand = byHand(directory);
  const adapter = new FileAdapter({ directory: join(directory, "sessions") });
  const manager = new PersistenceManager({ adapter });
  try {
    const session = bookingSession("s");
    const save = () => {
      session.data.count0++;
      return manager.saveTurn({ session, messages: exchange });
    };
    const turnsOf = (id) => {
      const stored = bookingSession(id);
      let count = 0;
      return async () => {
        const [outcome] = await adapter.turns.commit([commitOf(id, stored, count++)]);
        if (outcome.status !== "committed") throw new Error(outcome.status);
      };
    };
    // A process that has just started is slower: that is not what is asked here.
    const warm = bookingSession("warm");
    await compare(() => manager.saveTurn({ session: warm, messages: exchange }), hand, 200);
    await compare(turnsOf("warm too"), hand, 400);
    const commit = turnsOf("direct");
    for (let turn = 0; turn < 10; turn++) await commit();
    const early = await compare(commit, hand, 150);
    const kept = row("file store against the same operations by hand, from turn 10", early, 1.3);
    for (let turn = 760; turn < 10_000; turn++) await commit();
    const late = await compare(commit, hand, 150);
    const stayed = row("the same, from turn 10,000", late, 1.3);
    row("with all of core around it (saveTurn), from turn 10", await compare(save, hand, 150));
    return kept && stayed;
  } finally {
    await manager.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
