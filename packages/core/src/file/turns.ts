import { checkId } from "../contract/id.js";
import type { Commit, LoadedRow, Outcome, Turns } from "../contract/turns.js";
import { applyCommit } from "../turn/apply.js";
import { type Cell, toRow } from "./change.js";
import type { LogState } from "./log.js";
import { readEntries } from "./messages.js";
import type { Decision, Store } from "./store.js";

/** As many as the system's thread pool and its limit of open files take without harm. */
const mostAtOnce = 32;

export function createTurns(store: Store): Turns {
  async function commitOne(commit: Commit): Promise<Outcome> {
    try {
      checkId(commit.id, "commit");
      return await store.write({ operation: "commit", sessionId: commit.id }, (state) =>
        decide(state, commit),
      );
    } catch (error) {
      return { status: "failed", error };
    }
  }

  return {
    async commit(commits) {
      const outcomes: Outcome[] = [];
      for (let first = 0; first < commits.length; first += mostAtOnce) {
        outcomes.push(...(await Promise.all(commits.slice(first, first + mostAtOnce).map(commitOne))));
      }
      return outcomes;
    },

    async load(id, { last }) {
      checkId(id, "load");
      const doing = { operation: "load", sessionId: id };
      return store.read(doing, (state): LoadedRow | null => {
        if (state === null || state.cell === null) return null;
        const row = toRow(state.cell);
        const entries = last === 0 ? [] : readEntries(state, row.life, row.last - last + 1, row.last, doing);
        return { row, entries };
      });
    },
  };
}

function decide(state: LogState | null, commit: Commit): Decision<Outcome> {
  const cell = state?.cell ?? null;
  // No rule looks at the state, so it is not read where the commit replaces it, and kept as text where it does not.
  const applied = applyCommit(cell === null ? null : cell.row, commit);
  if (!applied.write) return { answer: applied.outcome };
  if (cell?.row.dirty === true) return { answer: { status: "busy" } };
  const isKept = cell !== null && commit.set.state === undefined;
  const next = isKept ? cell.state : { text: JSON.stringify(applied.row.state) };
  const { row, entries, records, operation } = applied;
  const written: Cell = { row: { ...row, state: null }, state: next };
  if (cell === null) return { answer: applied.outcome, change: { cell: written, entries, records } };
  const added = { operation, count: applied.outcome.operations };
  return { answer: applied.outcome, change: { cell: written, added, entries, records } };
}
