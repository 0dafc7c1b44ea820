import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import type { Client } from "pg";
import { type Process, connect, openDatabase, startProcess, until } from "./support";

jest.setTimeout(60_000);

let database: Awaited<ReturnType<typeof openDatabase>>;
let test: Client;
/** In a transaction, PostgreSQL answers the first question of who waits again and again: so it gets its own connection. */
let holder: Client;
let one: Process;
let other: Process;
let sessions = 0;
let id: string;

beforeAll(async () => {
  database = await openDatabase();
  test = await connect(database.url);
  holder = await connect(database.url);
});

afterAll(async () => {
  await Promise.all([test.end(), holder.end()]);
  await database.remove();
});

beforeEach(async () => {
  id = `table-${++sessions}`;
  [one, other] = await Promise.all([
    startProcess(database.url, `one-${sessions}`),
    startProcess(database.url, `other-${sessions}`),
  ]);
});

afterEach(async () => {
  await holder.query("ROLLBACK"); // where a test has failed
  for (const { child, ended } of [one, other]) {
    child.kill("SIGKILL");
    await ended;
  }
});

interface Said {
  readonly sequence: number;
  readonly role: string;
  readonly content: string;
}

/** What anybody can read of the session. */
async function messages(from: Process): Promise<string[]> {
  const { status, body } = await from.request("GET", `/sessions/${id}/messages`);
  expect(status).toBe(200);
  const said = body["messages"] as Said[];
  expect(said.map(({ sequence }) => sequence)).toEqual(said.map((_, index) => index + 1));
  return said.map(({ role, content }) => `${role}: ${content}`);
}

/** Holds the session's row, as another writer would, until it is told to let it go. */
async function holdRow(): Promise<() => Promise<unknown>> {
  await holder.query("BEGIN");
  await holder.query("SELECT 1 FROM agent_sessions WHERE id = $1 FOR UPDATE", [id]);
  return () => holder.query("COMMIT");
}

/** Statements of this process that wait for a lock. */
async function waiting({ name }: Process): Promise<number> {
  const { rows } = await test.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
    [name],
  );
  return rows[0].n;
}

async function connections({ name }: Process): Promise<number> {
  const { rows } = await test.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1",
    [name],
  );
  return rows[0].n;
}

const greeting = ["user: Hello", "assistant: How many people will come?"];

describe("two processes on one database", () => {
  it("take the turns of one session in any order", async () => {
    expect(await one.say(id, "Hello")).toMatchObject({
      status: 200,
      body: { message: "How many people will come?", sequence: 2 },
    });
    expect((await other.say(id, "4 people")).body["message"]).toBe("On which day?");
    expect((await one.say(id, "On Friday")).body["message"]).toBe("What name may I write down?");
    expect(await other.say(id, "my name is Ada")).toMatchObject({
      body: { message: "The table is yours.", data: { guests: 4, day: "Friday", name: "Ada" }, sequence: 8 },
    });
    expect(await messages(one)).toEqual(await messages(other));
    expect(await messages(one)).toHaveLength(8);
  });

  it("keep both of two turns that meet, where they change different fields", async () => {
    await one.say(id, "Hello");
    const release = await holdRow();
    const both = Promise.all([one.say(id, "4 people"), other.say(id, "On Friday")]);
    await until(async () => (await waiting(one)) > 0 && (await waiting(other)) > 0);
    await release();
    expect((await both).map(({ status }) => status)).toEqual([200, 200]);
    const said = await messages(one);
    expect(said.slice(0, 2)).toEqual(greeting);
    const pairs = [said.slice(2, 4), said.slice(4, 6)].map((pair) => pair.join(", ")).toSorted();
    expect(pairs).toEqual([
      "user: 4 people, assistant: On which day?",
      "user: On Friday, assistant: How many people will come?",
    ]);
    expect(said).toHaveLength(6);
    expect((await other.say(id, "my name is Ada")).body["data"]).toEqual({
      guests: 4,
      day: "Friday",
      name: "Ada",
    });
  });

  it("refuse the second of two turns that meet, where both change the same field", async () => {
    await one.say(id, "Hello");
    const release = await holdRow();
    const both = Promise.all([one.say(id, "4 people"), other.say(id, "5 people")]);
    await until(async () => (await waiting(one)) > 0 && (await waiting(other)) > 0);
    await release();
    const answers = await both;
    const [lost] = answers.filter(({ status }) => status !== 200);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    expect(lost?.body).toEqual({ error: { code: "SESSION_CONFLICT", retryable: false } });
    const won = answers[0]?.status === 200 ? "4 people" : "5 people";
    expect(await messages(one)).toEqual([...greeting, `user: ${won}`, "assistant: On which day?"]);
    // Said again, it is a turn like any other.
    expect((await other.say(id, "5 people")).body["data"]).toEqual({ guests: 5 });
  });

  it("begin one session when both get its first message", async () => {
    const answers = await Promise.all([one.say(id, "Hello"), other.say(id, "Hello")]);
    const codes = answers.map(({ status, body }) => (status === 200 ? "taken" : body["error"]));
    // Both enter the route: the second either sees that, or is told that somebody was faster.
    const conflict = { code: "SESSION_CONFLICT", retryable: false };
    expect([conflict, "taken"]).toEqual(expect.arrayContaining(codes));
    const taken = codes.filter((code) => code === "taken").length;
    expect(taken).toBeGreaterThan(0);
    expect(await messages(one)).toEqual(Array.from({ length: taken }, () => greeting).flat());
  });
});

describe("the end of a process", () => {
  it("by SIGTERM stores and answers the turn that is under way, and takes no other", async () => {
    await one.say(id, "Hello");
    const release = await holdRow();
    const answer = one.say(id, "4 people");
    await until(async () => (await waiting(one)) > 0);
    one.child.kill("SIGTERM");
    await until(async () =>
      one.request("GET", "/health").then(
        () => false,
        () => true,
      ),
    );
    await release();
    expect(await answer).toMatchObject({
      ...{ status: 200, connection: "close" },
      body: { data: { guests: 4 }, sequence: 4 },
    });
    expect(await one.ended).toBe(0);
    expect(await connections(one)).toBe(0);
    expect(await messages(other)).toEqual([...greeting, "user: 4 people", "assistant: On which day?"]);
    expect((await other.say(id, "On Friday")).status).toBe(200);
  });

  it("by SIGTERM ends at once where nothing is under way", async () => {
    await one.say(id, "Hello"); // leaves a connection open, as browsers do
    one.child.kill("SIGTERM");
    expect(await one.ended).toBe(0);
  });

  it.each([
    ["whose statement the database still ends", false],
    ["whose statement is lost with it", true],
  ])("by SIGKILL leaves a turn there as a whole or not at all: one %s", async (_, isLost) => {
    await one.say(id, "Hello");
    const release = await holdRow();
    const answer = one.say(id, "4 people").catch(() => "no answer");
    await until(async () => (await waiting(one)) > 0);
    one.child.kill("SIGKILL");
    expect(await one.ended).toBe("SIGKILL");
    expect(await answer).toBe("no answer");
    if (isLost) {
      await test.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [
        one.name,
      ]);
      await until(async () => (await connections(one)) === 0);
    }
    await release();
    await until(async () => (await connections(one)) === 0);
    const turn = ["user: 4 people", "assistant: On which day?"];
    expect(await messages(other)).toEqual(isLost ? greeting : [...greeting, ...turn]);
    // The client reads what is stored, says again what is not, and goes on with another process.
    if (isLost) await other.say(id, "4 people");
    expect(await other.say(id, "On Friday")).toMatchObject({
      status: 200,
      body: { data: { guests: 4, day: "Friday" }, sequence: 6 },
    });
    expect((await messages(other)).slice(0, 4)).toEqual([...greeting, ...turn]);
  });
});

describe("users", () => {
  it("do not reach the sessions of others", async () => {
    await one.say(id, "Hello", "ada");
    expect(await other.request("GET", `/sessions/${id}/messages`, { user: "grace" })).toMatchObject({
      status: 404,
      body: { error: { code: "SESSION_NOT_FOUND" } },
    });
    expect(await other.say(id, "5 people", "grace")).toMatchObject({
      status: 409,
      body: { error: { code: "SESSION_EXISTS" } },
    });
    expect((await other.request("DELETE", `/sessions/${id}`, { user: "grace" })).status).toBe(404);
    expect((await other.request("GET", `/sessions/${id}/messages`, { user: null })).status).toBe(401);
    expect(await messages(one)).toEqual(greeting);
  });

  it("delete what is theirs", async () => {
    await one.say(id, "Hello");
    expect((await other.request("DELETE", `/sessions/${id}`)).status).toBe(204);
    expect((await one.request("GET", `/sessions/${id}/messages`)).status).toBe(404);
  });
});

describe("what is wrong with a request", () => {
  it("is answered with the status that fits", async () => {
    const post = (path: string, body: unknown) => one.request("POST", path, { body });
    const path = `/sessions/${id}/messages`;
    expect((await post(path, {})).status).toBe(400);
    expect((await post(path, "{")).status).toBe(400);
    expect((await post(path, { text: "x".repeat(70_000) })).status).toBe(413);
    expect(await post(`/sessions/${"x".repeat(129)}/messages`, { text: "Hi" })).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_ID", retryable: false } },
    });
    await one.say(id, "Hello");
    expect((await one.request("GET", `${path}?limit=none`)).status).toBe(400);
    expect((await one.say(id, "30 people")).body["message"]).toBe(
      "Sorry, we have 20 seats. How many people will come?",
    );
  });

  it("is paged where there is much", async () => {
    await one.say(id, "Hello");
    await other.say(id, "4 people");
    const path = `/sessions/${id}/messages?limit=3`;
    const { body } = await one.request("GET", path);
    expect(body).toMatchObject({ before: 2, messages: [{ sequence: 2 }, { sequence: 3 }, { sequence: 4 }] });
    const rest = await one.request("GET", `${path}&before=${String(body["before"])}`);
    expect(rest.body).toMatchObject({ before: null, messages: [{ sequence: 1, content: "Hello" }] });
  });

  it("is told apart from what is wrong with the database", async () => {
    expect((await one.request("GET", "/health", { user: null })).body).toEqual({
      reachable: true,
      writable: true,
    });
    await expect(startProcess("postgres://postgres@127.0.0.1:1/none", "none")).rejects.toThrow(
      /ended with 1: .*the connection to PostgreSQL was lost or could not be made/,
    );
  });
});
