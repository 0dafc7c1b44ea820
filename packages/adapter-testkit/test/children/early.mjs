// Acknowledges a turn before it is written: a kill in between loses it.
import { FileAdapter } from "@waymark/core/file";

export default ({ directory }) => {
  const right = new FileAdapter({ directory });
  const { name, durability, limits, sessionRepository, messageRepository } = right;
  let written = Promise.resolve();
  const late = (write) => {
    written = written.then(() => new Promise((resolve) => setTimeout(resolve, 15))).then(write);
  };
  const rows = new Map();
  const turns = {
    commit: async (commits) => {
      const outcomes = [];
      for (const commit of commits) {
        // The answer comes from memory.
        const before = rows.get(commit.id) ?? (await right.turns.load(commit.id, { last: 0 }))?.row;
        const life = before?.life ?? commit.expect.life;
        const n = before === undefined ? 1 : Number(before.version.split(".")[1]) + 1;
        const last = (before?.last ?? 0) + commit.messages.length;
        const version = `${life}.${n}`;
        rows.set(commit.id, {
          ...before,
          life,
          version,
          last,
          state: commit.set.state,
          status: "active",
          dirty: false,
          first: 1,
          system: { pending: [], operations: [], count: n },
        });
        late(() => right.turns.commit([commit]));
        const first = last - commit.messages.length + 1;
        outcomes.push({ status: "committed", life, version, first, last, at: commit.at, operations: n });
      }
      return outcomes;
    },
    load: async (id, options) => {
      const row = rows.get(id);
      return row === undefined ? right.turns.load(id, options) : { row, entries: [] };
    },
  };
  return { name, durability, limits, sessionRepository, messageRepository, turns };
};
