import {
  type Commit,
  type Outcome,
  type Turns,
  applyCommit,
  checkId,
  sessionScope,
} from "@waymark/core/adapter";
import { applyRecords } from "./records.js";
import { type Store, addEntry, copy, entriesOf } from "./store.js";

export function createTurns(store: Store): Turns {
  function commitOne(commit: Commit): Outcome {
    const stored = store.sessions.get(commit.id);
    const applied = applyCommit(stored === undefined ? null : copy(stored), commit);
    if (applied.write) {
      if (stored?.dirty === true) return { status: "busy" };
      store.sessions.set(commit.id, copy(applied.row));
      for (const entry of applied.entries) addEntry(store, entry);
      applyRecords(store, applied.records);
    }
    return applied.outcome;
  }

  return {
    async commit(commits) {
      return commits.map((commit): Outcome => {
        try {
          checkId(commit.id, "commit");
          return commitOne(commit);
        } catch (error) {
          return { status: "failed", error };
        }
      });
    },

    async load(id, { last }) {
      checkId(id, "load");
      const row = store.sessions.get(id);
      if (row === undefined) return null;
      const from = Math.max(row.first, row.last - last + 1);
      return { row: copy(row), entries: entriesOf(store, id, row.life, from, row.last) };
    },

    async remove(sessions) {
      return sessions.map(({ id, revision }) => {
        checkId(id, "remove");
        const row = store.sessions.get(id);
        if (row?.revision !== revision) return false;
        store.sessions.delete(id);
        store.entries.delete(id);
        store.records.delete(sessionScope(id, row.life));
        return true;
      });
    },
  };
}
