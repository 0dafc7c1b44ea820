import { describe, expect, it } from "@jest/globals";
import type { Harness } from "@waymark/adapter-testkit";
import type Database from "better-sqlite3";
import { runKit } from "../../adapter-testkit/test/support/run.js";
import { type SQLiteHandle, SQLiteAdapter } from "../src/index.js";
import { openStore } from "./stores.js";

/** A handle that changes the text of each statement. */
function rewriting(db: Database.Database, rewrite: (text: string) => string): SQLiteHandle {
  return {
    prepare: (text) => db.prepare<unknown[], unknown>(rewrite(text)),
    pragma: (text) => db.pragma(text),
  };
}

function harness(rewrite: (text: string) => string): Harness {
  return {
    name: "mutant",
    expects: { durability: "commit", turns: true, records: true, search: true, network: "none" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = openStore();
      return {
        connect: () => new SQLiteAdapter({ db: rewriting(store.open(), rewrite), search: true }),
        remove: () => store.remove(),
        address: { driver: "better-sqlite3", path: store.path },
      };
    },
  };
}

const mutants: readonly { name: string; caughtBy: string; rewrite: (text: string) => string }[] = [
  {
    name: "does not compare the revision of the row that a turn moves",
    caughtBy: "sequences have no gap",
    rewrite: (text) => text.replace("WHERE rowid = ? AND revision = ?", "WHERE rowid = ? AND ? IS NOT NULL"),
  },
  {
    name: "does not compare the revision of the row that it replaces",
    caughtBy: "stale revision",
    rewrite: (text) => text.replace("WHERE id = ? AND revision = ?", "WHERE id = ? AND ? IS NOT NULL"),
  },
  {
    name: "overwrites a message that is there",
    caughtBy: "an entry that is there is left",
    rewrite: (text) =>
      text.includes('main."agent_messages" (session_id') && text.startsWith("INSERT")
        ? text.replace("INSERT", "INSERT OR REPLACE").replace("ON CONFLICT DO NOTHING", "")
        : text,
  },
  {
    name: "lets an older record win",
    caughtBy: "bring no older record back",
    rewrite: (text) => text.replace("WHERE stamp < excluded.stamp", ""),
  },
  {
    name: "compares ids without regard to case",
    caughtBy: "ids that look alike",
    rewrite: (text) => text.replace("id TEXT PRIMARY KEY", "id TEXT COLLATE NOCASE PRIMARY KEY"),
  },
  {
    name: "searches without looking at the session's life",
    caughtBy: "a message that no reader sees",
    rewrite: (text) => text.replace("AND s.life = n.log", ""),
  },
  {
    name: "does not index what is written later",
    caughtBy: "finds what was said, in the sessions",
    rewrite: (text) =>
      /CREATE TRIGGER .*_insert"/.test(text)
        ? text.replace("VALUES (last_insert_rowid(), new.content)", "SELECT 1, '' WHERE 0")
        : text,
  },
];

describe("an adapter that is almost right", () => {
  it.each(mutants)(
    "$name: caught",
    async ({ name, caughtBy, rewrite }) => {
      const only = new RegExp(caughtBy);
      const started = performance.now();
      const options = { only, isBrief: true, callTimeoutMs: 5_000 };
      const failed = (await runKit(harness(rewrite), options)).find(({ error }) => error !== null);
      const ms = (performance.now() - started).toFixed(0);
      // The same without what is wrong with it passes.
      const right = await runKit(
        harness((text) => text),
        options,
      );
      expect(right.length).toBeGreaterThan(0);
      expect(right.filter(({ error }) => error !== null)).toEqual([]);
      expect(failed?.path.at(-1)).toMatch(only);
      process.stdout.write(`note: "${name}": caught in ${ms} ms by ${failed?.path.slice(1).join(", ")}\n`);
    },
    60_000,
  );
});
