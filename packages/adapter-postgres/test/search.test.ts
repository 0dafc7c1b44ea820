import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import type { SearchQuery } from "@waymark/core/adapter";
import {
  type PostgresClient,
  type PostgresStatement,
  type SearchOptions,
  printSchema,
} from "../src/index.js";
import { wordsOf } from "../src/schema.js";
import { openSchema } from "./server.js";

const said = (content: string) => ({ role: "user", content }) as const;

/** A store of its own, and what its managers store and find. */
function openStore(name: string) {
  const store = openSchema(name);
  let sessions = 0;
  return {
    ...store,
    manager: (search: boolean | SearchOptions, more: object = {}) =>
      new PersistenceManager({ adapter: store.connect({ search, ...more }) }),
    say: async (manager: PersistenceManager, ...texts: string[]) => {
      const session = createSession({ id: `s${sessions++}` });
      await manager.saveTurn({ session, messages: texts.map(said) });
      return session;
    },
    indexes: async () => {
      const found = await store.query(
        "SELECT indexname FROM pg_indexes WHERE schemaname = $1 AND indexname LIKE '%search%' ORDER BY 1",
        [store.schema],
      );
      return found.map(({ indexname }) => indexname);
    },
  };
}

const snippets = async (manager: PersistenceManager, text: string) =>
  (await manager.search({ text })).map(({ snippet }) => snippet);

describe("the index", () => {
  it("is made where search is asked for, of what is there, and kept right by those who do not ask", async () => {
    const store = openStore("search_later");
    const without = store.manager(false);
    const session = await store.say(without, "an old word");
    expect(await store.indexes()).toEqual([]);
    await expect(without.search({ text: "word" })).rejects.toMatchObject({ code: "CAPABILITY_MISSING" });
    const managers = [store.manager(true), store.manager(true), store.manager(true)];
    for (const found of await Promise.all(managers.map((manager) => snippets(manager, "word"))))
      expect(found).toEqual(["an old word"]);
    expect(await store.indexes()).toEqual(["agent_messages_search_simple"]);
    await without.saveTurn({ session, messages: [said("a new word")] });
    await store.query(`UPDATE "${store.schema}".agent_messages SET content = 'masked' WHERE sequence = 1`);
    const [manager = without] = managers;
    expect(await snippets(manager, "word")).toEqual(["a new word"]);
    expect(await snippets(manager, "MASKED")).toEqual(["masked"]);
    await store.remove();
  });

  it("is looked for by `verify`, and made by the printed statements, for any names", async () => {
    const store = openStore("search_printed");
    const tables = { messages: `${"m".repeat(50)}'"` };
    const options = { schema: store.schema, tables, search: { configuration: "pg_catalog.english" } };
    await store.query(printSchema({ ...options, search: false }));
    const verifying = store.manager(options.search, { tables, initialize: "verify" });
    await expect(verifying.search({ text: "a" })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringMatching(/the index ".*" for searches is missing.*printSchema\(\)/s),
    });
    await store.query(printSchema(options));
    await store.query(printSchema(options));
    await store.say(verifying, "two bookings");
    expect(await snippets(verifying, "booked")).toEqual(["two bookings"]);
    expect(await store.indexes()).toHaveLength(1);
    await store.remove();
  });

  it("that is not finished is told as such, and not used", async () => {
    const store = openStore("search_broken");
    await store.say(store.manager(true), "word");
    await store.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", [
      `"${store.schema}".agent_messages_search_simple`,
    ]);
    for (const initialize of ["migrate", "verify"])
      await expect(store.manager(true, { initialize }).search({ text: "word" })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("still being made"),
      });
    await store.remove();
  });

  it("is not made by a role that may only use the tables, whose turns go on with it and without it", async () => {
    const store = openStore("search_role");
    const role = `${store.schema}_role`;
    const owner = store.manager(false);
    await store.say(owner, "before");
    await store.query(`CREATE ROLE "${role}"; GRANT USAGE ON SCHEMA "${store.schema}" TO "${role}";
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${store.schema}" TO "${role}"`);
    try {
      const client = store.pool({ max: 1, options: `-c role=${role}` });
      const limited = (search: boolean) => store.manager(search, { client });
      await expect(limited(true).search({ text: "before" })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("the role may not do this"),
      });
      expect(await store.indexes()).toEqual([]);
      const without = limited(false);
      await store.say(without, "without");
      await store.query(printSchema({ schema: store.schema, search: true }));
      const searching = limited(true);
      await store.say(searching, "with");
      await store.say(without, "still without");
      for (const text of ["before", "with", "still"]) expect(await snippets(searching, text)).toHaveLength(1);
      expect(await snippets(searching, "without")).toHaveLength(2);

      await store.query(`ALTER TABLE "${store.schema}".agent_messages DROP COLUMN search_simple`);
      await store.say(searching, "after");
      await expect(searching.search({ text: "after" })).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      expect(await store.indexes()).toEqual([]);
    } finally {
      await store.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
      await store.remove();
    }
  });

  it("is one for each configuration, which decides about stems and stop words", async () => {
    const store = openStore("search_english");
    const [english, simple] = [store.manager({ configuration: "english" }), store.manager({})];
    await store.say(english, "The tables were booked");
    expect(await snippets(english, "book the table")).toEqual(["The tables were booked"]);
    expect(await snippets(english, "the")).toEqual([]);
    expect(await snippets(english, "the -booked")).toEqual([]);
    expect(await snippets(simple, "book")).toEqual([]);
    expect(await snippets(simple, "the")).toEqual(["The tables were booked"]);
    expect(await store.indexes()).toEqual(["agent_messages_search_english", "agent_messages_search_simple"]);
    await store.remove();
  });

  it.each([{ configuration: "" }, { configuration: "a\0b" }, { configuration: 7 }, "english", null, 1])(
    "refuses what names no configuration: %j",
    (search) => {
      const { connect } = openSchema("search_wrong");
      expect(() =>
        connect({ search: search as never, client: { query: async () => ({}) } as never }),
      ).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
    },
  );

  it.each([true, { configuration: "english" }])(
    "has letters and digits as words, whatever is between: %j",
    async (search) => {
      const store = openStore(search === true ? "search_words" : "search_words_english");
      const manager = store.manager(search);
      const text =
        "order-4711, no.4712, 4713/4714 of ada@shop.example/list?n=4715 <b>BOLD</b> snake_case 'twas \\";
      await store.say(manager, text);
      const words = ["4711", "4712", "4713", "4714", "4715", "ada", "shop", "list", "bold", "snake", "twas"];
      const phrases = ["order-4711", '"order 4711"', "ada@shop.example", "shop.example/list", "snake_case"];
      const without = ["471", "-4711", '"4711 order"', "order -shop", "order -ada@shop.example"];
      const found = async (one: string) => (await snippets(manager, one)).length;
      for (const one of [...words, ...phrases]) expect([one, await found(one)]).toEqual([one, 1]);
      for (const one of without) expect([one, await found(one)]).toEqual([one, 0]);
      await store.remove();
    },
  );

  it("shows what was looked for, and not what must not be there", async () => {
    const store = openStore("search_shown");
    const manager = store.manager(true);
    await store.say(manager, `parties ${"and so on ".repeat(100)} order`);
    expect(await snippets(manager, "order -partie")).toEqual([expect.stringMatching(/order$/)]);
    await store.remove();
  });

  it("no sign is more than the end of a word", async () => {
    const store = openStore("search_signs");
    const signs = [..."!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", " ", ""];
    const texts = signs.flatMap((one) =>
      signs.flatMap((two) =>
        ["a b c", "1 2 3", "http www com", "x1 5 amp"].flatMap((words) => {
          const [first, second, third] = words.split(" ");
          return [first + one + second + two + third, one + two + first + second, first + one + two];
        }),
      ),
    );
    const between = "'" + signs.join("").replace("'", "''") + "'";
    const rows = await store.query(
      `SELECT text, to_tsvector('simple', ${wordsOf("text")})::text AS kept,
         to_tsvector('simple', translate(text, ${between}, repeat(' ', 33)))::text AS wanted FROM unnest($1::text[]) AS text`,
      [texts],
    );
    expect(rows).toHaveLength(texts.length);
    expect(rows.filter(({ kept, wanted }) => kept !== wanted)).toEqual([]);
    await store.remove();
  });

  it("a configuration that the database does not have is told as such", async () => {
    const store = openStore("search_unknown");
    for (const configuration of ["klingon", "'); DROP TABLE x; --", "a.b.c.d"])
      await expect(store.manager({ configuration }).search({ text: "a" })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
      });
    await store.remove();
  });
});

describe("with 100,000 messages", () => {
  const store = openStore("search_many");
  const fill = `
    INSERT INTO agent_sessions (id, life, user_id, created_at, first_sequence, operation_ids, operations,
        operation_count, revision, version, status, last_sequence, updated_at, dirty, state)
      SELECT 's' || n, 'l', 'u' || n % 100, now(), 1, '{}', '{}', 0, 'r', 'l.0', 'active', 100, now(), false, '{}'
      FROM generate_series(1, 1000) n;
    INSERT INTO agent_messages (session_id, log, sequence, role, content, created_at, body)
      SELECT 's' || s, 'l', m, 'user', 'common common' || m % 10 || ' rare' || (s * 100 + m) % 5000 || ' so it goes on',
        now() - (s * 100 + m) * interval '1 second', '{}'
      FROM generate_series(1, 1000) s, generate_series(1, 100) m;
    ANALYZE agent_sessions; ANALYZE agent_messages`;
  beforeAll(async () => {
    await store.manager(true).prune();
    await store.query(`SET search_path = "${store.schema}"; ${fill}; RESET search_path`);
  }, 60_000);
  afterAll(() => store.remove());

  it("no search reads all of them", async () => {
    const pool = store.pool({ max: 1 });
    const plans: string[] = [];
    const explaining: PostgresClient = {
      query: async (statement: string | PostgresStatement): Promise<never> => {
        if (typeof statement === "string") throw new Error("not expected");
        const { text, values } = statement;
        const { rows } = await pool.query<[string]>({ text: `EXPLAIN ${text}`, values, rowMode: "array" });
        plans.push(rows.map(([line]) => line).join("\n"));
        return { rows: [], rowCount: 0 } as never;
      },
    };
    const { search } = store.connect({ client: explaining, search: true });
    const right = store.connect({ search: true }).search;
    const queries: readonly Omit<SearchQuery, "limit">[] = [
      { text: "rare7" },
      { text: '"rare7 so it" -common3' },
      { text: "rare7", userId: "u7" },
      { text: "rare7", userId: "u7", expiresAfter: Date.now(), from: 0, to: Date.now() },
      { text: "rare7", sessionId: "s7" },
      { text: "common", sessionId: "s7" },
    ];
    for (const query of queries) {
      const first = await right?.query({ ...query, limit: 1 });
      await search?.query({ ...query, limit: 20 });
      if (first?.next != null) await search?.query({ ...query, limit: 20, cursor: first.next });
    }
    expect(plans.length).toBeGreaterThan(queries.length);
    for (const plan of plans) expect(plan).not.toMatch(/Seq Scan on agent_messages/);
    expect(plans[0]).toContain("agent_messages_search_simple");
  }, 60_000);

  it("the pages of a word that everybody says have an end, and each message once", async () => {
    const { search } = store.connect({ search: true });
    const found = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await search?.query({
        ...{ text: "common7", userId: "u7", limit: 100 },
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { sessionId, sequence } of page?.items ?? []) found.add(`${sessionId} ${sequence}`);
      cursor = page?.next ?? undefined;
    } while (cursor !== undefined);
    expect(found.size).toBe(100);
  }, 60_000);
});
