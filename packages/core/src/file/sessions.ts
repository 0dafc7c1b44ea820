import { checkId } from "../contract/id.js";
import type { SessionRepository } from "../contract/repositories.js";
import type { SessionRow } from "../contract/row.js";
import { type Change, copyToCell, toRow } from "./change.js";
import { findRows } from "./find.js";
import type { LogState } from "./log.js";
import type { Store } from "./store.js";

export function createSessions(store: Store): SessionRepository {
  return {
    async create(row) {
      checkId(row.id, "create");
      const cell = copyToCell(row);
      return store.write({ operation: "create", sessionId: row.id }, (state) =>
        rowIn(state) === null ? { answer: true, change: { cell } } : { answer: false },
      );
    },

    async findById(id) {
      checkId(id, "findById");
      return store.read({ operation: "findById", sessionId: id }, (state): SessionRow | null =>
        state === null || state.cell === null ? null : toRow(state.cell),
      );
    },

    async update(row, seen) {
      checkId(row.id, "update");
      const cell = copyToCell(row);
      return store.write({ operation: "update", sessionId: row.id }, (state) =>
        rowIn(state)?.revision === seen ? { answer: true, change: { cell } } : { answer: false },
      );
    },

    async delete(id, seen) {
      checkId(id, "delete");
      return store.write({ operation: "delete", sessionId: id }, (state) =>
        rowIn(state)?.revision === seen
          ? { answer: true, change: withoutRow(state), rewrite: true }
          : { answer: false },
      );
    },

    find: (filter, page) => store.guard({ operation: "find" }, () => findRows(store, filter, page)),
  };
}

function rowIn(state: LogState | null): { readonly revision: string } | null {
  return state?.cell?.row ?? null;
}

/** Messages and records of some life may be left: they are removed by themselves. */
function withoutRow(state: LogState | null): Change {
  const isLast = state === null || (state.logs.size === 0 && state.records.size === 0);
  return isLast ? { cell: null, gone: true } : { cell: null };
}
