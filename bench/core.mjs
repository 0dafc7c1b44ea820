// Core's own time per turn: all that a save does besides the store, in whose place something answers "stored" at once.
import { PersistenceManager } from "@waymark/core";
import { bookingSession, exchange } from "./session.mjs";
import { median, row } from "./stats.mjs";

export function nothingStore() {
  let version = 0;
  const none = () => Promise.reject(new Error("not measured"));
  const stored = ({ at, messages }) => {
    version++;
    const last = messages.length;
    return {
      status: "committed",
      life: "life",
      version: `life.${version}`,
      first: 1,
      last,
      at,
      operations: version,
    };
  };
  return {
    name: "nothing",
    durability: "process",
    limits: { commitBytes: 16 * 1024 * 1024 },
    sessionRepository: { create: none, findById: none, update: none, delete: none, find: none },
    messageRepository: { insert: none, findBySessionId: none, deleteBySessionId: none },
    turns: { commit: async (commits) => commits.map(stored), load: none },
  };
}

/** Microseconds a turn. */
export async function turnTimes(adapter) {
  const manager = new PersistenceManager({ adapter });
  const session = bookingSession("s");
  await manager.saveTurn({ session });
  const samples = [];
  for (let sample = 0; sample < 60; sample++) {
    const turns = 500;
    const begin = performance.now();
    for (let turn = 0; turn < turns; turn++) {
      session.data.count0 = sample * turns + turn;
      await manager.saveTurn({ session, messages: exchange });
    }
    if (sample >= 20) samples.push(((performance.now() - begin) / turns) * 1000);
  }
  return median(samples);
}

export async function benchCore() {
  return row("core's own time per turn, 20 fields", await turnTimes(nothingStore()), 20, " µs");
}
