// Keeps rows in the memory of its process and takes the files for its own: two processes overwrite each other.
import { applyCommit } from "@waymark/core/adapter";
import { FileAdapter } from "@waymark/core/file";

export default ({ directory }) => {
  const right = new FileAdapter({ directory });
  const { name, durability, limits, sessionRepository, messageRepository } = right;
  const turns = {
    commit: (commits) =>
      Promise.all(
        commits.map(async (commit) => {
          const seen = await sessionRepository.findById(commit.id);
          const applied = applyCommit(seen, commit);
          if (!applied.write) return applied.outcome;
          await new Promise((resolve) => setTimeout(resolve, 1));
          const now = await sessionRepository.findById(commit.id);
          await sessionRepository.update(applied.row, now.revision);
          await messageRepository.insert(applied.entries);
          return applied.outcome;
        }),
      ),
    load: (id, options) => right.turns.load(id, options),
  };
  return { name, durability, limits, sessionRepository, messageRepository, turns };
};
