// Writes the row of a turn first, and its messages a moment after.
import { applyCommit } from "@waymark/core/adapter";
import { FileAdapter } from "@waymark/core/file";

export default ({ directory }) => {
  const right = new FileAdapter({ directory });
  const { name, durability, limits, sessionRepository, messageRepository } = right;
  const turns = {
    commit: (commits) =>
      Promise.all(
        commits.map(async (commit) => {
          const before = await sessionRepository.findById(commit.id);
          const applied = applyCommit(before, commit);
          if (!applied.write) return applied.outcome;
          if (before === null) await sessionRepository.create(applied.row);
          else if (!(await sessionRepository.update(applied.row, before.revision))) return { status: "busy" };
          await new Promise((resolve) => setTimeout(resolve, 3));
          await messageRepository.insert(applied.entries);
          return applied.outcome;
        }),
      ),
    load: (id, options) => right.turns.load(id, options),
  };
  return { name, durability, limits, sessionRepository, messageRepository, turns };
};
