import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { runKit } from "../../adapter-testkit/test/support/run.js";
import { type PostgresClient, type PostgresStatement, printSchema } from "../src/index.js";
import { openSchema } from "./server.js";

const partitions = 4;
const said = (content: string) => ({ role: "user", content }) as const;

/** A schema whose tables were made by the printed statements. */
async function openPartitioned(name: string) {
  const store = openSchema(name);
  await store.query(printSchema({ schema: store.schema, partitions, search: true }));
  return {
    ...store,
    connect: (options: Parameters<typeof store.connect>[0] = {}) =>
      store.connect({ initialize: "verify", search: true, ...options }),
  };
}

describe("tables that are partitioned by session", () => {
  it("pass the kit", async () => {
    const results = await runKit(
      {
        name: "partitioned",
        expects: { durability: "commit", turns: true, records: true, search: true, network: "none" },
        processEntry: new URL("./process-entry.mjs", import.meta.url),
        async open() {
          const store = await openPartitioned("partitioned_kit");
          return {
            connect: () => store.connect(),
            remove: () => store.remove(),
            address: { schema: store.schema },
          };
        },
      },
      // What processes do to each other is no other thing here, and takes its time.
      { isBrief: true, only: /^P[1348]: (?!.*(process|writers))/ },
    );
    expect(results.filter(({ error }) => error !== null)).toEqual([]);
    expect(results.length).toBeGreaterThan(50);
  }, 600_000);

  describe("with sessions in each partition", () => {
    let store: Awaited<ReturnType<typeof openPartitioned>>;
    const ids = Array.from({ length: 40 }, (_, n) => `s${n}`);
    beforeAll(async () => {
      store = await openPartitioned("partitioned");
      const manager = new PersistenceManager({ adapter: store.connect() });
      await Promise.all(
        ids.map((id) =>
          manager.saveTurn({
            session: createSession({ id }),
            messages: [said(`hello ${id}`)],
            records: [{ key: "k", value: 1 }],
          }),
        ),
      );
    }, 60_000);
    afterAll(() => store.remove());

    it("all of a session lies in one, and each has some", async () => {
      for (const table of ["agent_sessions", "agent_messages", "agent_records"]) {
        const found = await store.query(
          `SELECT tableoid::regclass::text AS name, count(*)::integer AS n FROM "${store.schema}".${table} GROUP BY 1`,
        );
        expect(found).toHaveLength(partitions);
      }
    });

    it("a turn, alone and in a group, and a resume touch one partition of each table", async () => {
      const pool = store.pool({ max: 1 });
      /** Partitions that a statement has looked at: what the planner left out, or the executor never ran, is none. */
      const touched = new Map<string, ReadonlySet<string>>();
      const explaining: PostgresClient = {
        query: async (statement: string | PostgresStatement): Promise<never> => {
          if (typeof statement === "string") throw new Error("not expected");
          const { text, values } = statement;
          const plan = await pool.query<[string]>({
            text: `EXPLAIN (ANALYZE, TIMING OFF) ${text}`,
            values,
            rowMode: "array",
          });
          const lines = plan.rows.map(([line]) => line);
          const ran = lines.filter((line) => !line.includes("never executed"));
          const names = ran.flatMap((line) => [...line.matchAll(/(?:Scan|using \S+) on (agent_\w+_p\d+)/g)]);
          touched.set(text, new Set(names.map(([, name]) => name ?? "")));
          return { rows: [], rowCount: 0 } as never;
        },
      };
      const adapter = store.connect({ client: explaining });
      const turn = (id: string, n: number) => ({
        ...{
          id,
          expect: { kind: "append" as const },
          operation: { id: `o${n}`, digest: "" },
          revision: `r${n}`,
        },
        ...{ at: 1, set: {}, messages: [], history: [] },
      });
      await adapter.turns.commit([turn("s1", 1)]);
      await adapter.turns.commit([turn("s2", 2)]);
      await adapter.turns.load("s1", { last: 10 });
      const plans = [...touched];
      expect(plans.length).toBeGreaterThan(1);
      for (const [text, names] of plans) {
        const tables = [...names].map((name) => name.replace(/_p\d+$/, ""));
        expect([text, tables.length]).toEqual([text, new Set(tables).size]);
        expect(tables).toContain("agent_sessions");
      }
    });

    it("lists, searches, trims, removes and erases as others do", async () => {
      const manager = new PersistenceManager({ adapter: store.connect() });
      const session = createSession({ id: "t", data: { n: 1 } });
      await manager.saveTurn({ session, messages: ["1", "2", "3"].map(said), userId: "ann" });
      expect((await manager.findSessionsByUserId("ann")).map(({ id }) => id)).toEqual(["t"]);
      expect((await manager.search({ text: "hello", limit: 100 })).length).toBe(ids.length);
      expect(await manager.trimMessages("t", 1)).toBe(2);
      expect((await manager.open("t"))?.messages.map(({ content }) => content)).toEqual(["3"]);
      expect(await manager.deleteSession("s0")).toBe(true);
      expect(await manager.eraseUser("ann")).toMatchObject({ sessions: 1 });
      await manager.prune({ olderThan: new Date(Date.now() + 1000) });
      for (const table of ["agent_sessions", "agent_messages"])
        expect(await store.query(`SELECT count(*)::integer AS n FROM "${store.schema}".${table}`)).toEqual([
          { n: 0 },
        ]);
    });
  });

  it.each([0, 1.5, 101, "4"])("cannot be so many: %j", (wrong) => {
    expect(() => printSchema({ partitions: wrong as never })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });
});
