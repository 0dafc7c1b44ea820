import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { SQLiteAdapter } from "../src/index.js";
import { openSqlJs, openStore } from "./stores.js";

const facets = { turns: true, records: true, network: "none" } as const;
const processEntry = new URL("./process-entry.mjs", import.meta.url);
const runner = { describe, it, beforeAll, afterAll };

const rawOf = (count: (text: string, id: string) => number) => ({
  session: async (id: string) => count("SELECT count(*) AS n FROM agent_sessions WHERE id = ?", id) > 0,
  messages: async (id: string) => count("SELECT count(*) AS n FROM agent_messages WHERE session_id = ?", id),
});

testAdapter(
  {
    name: "better-sqlite3",
    expects: { durability: "commit", ...facets, search: true },
    processEntry,
    async open() {
      const store = openStore();
      return {
        connect: () => store.connect({ search: true }),
        remove: () => store.remove(),
        address: { driver: "better-sqlite3", path: store.path },
        raw: rawOf((text, id) => Number(store.query(text, id)[0]?.["n"])),
      };
    },
  },
  runner,
);

for (const isKept of [false, true]) {
  testAdapter(
    {
      name: isKept ? "sql.js with a file" : "sql.js",
      // It has no FTS5.
      expects: { durability: isKept ? "flush" : "process", ...facets, search: false },
      processEntry,
      async open() {
        const store = openStore();
        const db = openSqlJs();
        return {
          connect: () => new SQLiteAdapter({ db, search: true, ...(isKept ? { file: store.path } : {}) }),
          remove: async () => {
            db.close();
            await store.remove();
          },
          // One process at a time holds such a file: those that are killed have one to themselves.
          address: { driver: "sql.js", path: `${store.path}.other` },
          raw: rawOf((text, id) => Number(db.exec(text, [id])[0]?.values[0]?.[0])),
        };
      },
    },
    runner,
  );
}
