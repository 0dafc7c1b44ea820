// Plain JavaScript, in a project that has the packages and nothing else.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MemoryAdapter } from "@waymark/adapter-memory";
import { OpenSearchAdapter } from "@waymark/adapter-opensearch";
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { RedisAdapter } from "@waymark/adapter-redis";
import { testAdapter } from "@waymark/adapter-testkit";
import { Agent, PersistenceManager } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import { FileSessionStore } from "@waymark/core/session-store";
import { scriptedModel } from "@waymark/core/testing";
import { entries } from "./entries.cjs";

const file = fileURLToPath(import.meta.url);

const agentOn = (adapter) =>
  new Agent({
    name: "Counter",
    provider: scriptedModel(({ history }) => `I know ${history.length}.`),
    persistence: { adapter },
  });

async function say(adapter, text) {
  const agent = agentOn(adapter);
  const { message } = await agent.session("s").chat(text);
  await agent.getPersistenceManager().close();
  return message;
}

const [, , directory] = process.argv;
if (directory === undefined) await all();
else console.log(await say(new FileAdapter({ directory }), "Again, from another process"));

async function all() {
  for (const name of entries)
    assert.ok(Object.keys(await import(name)).length > 0, `${name} exports nothing`);
  await memory();
  await files();
  await servers();
  kit();
  generator();
}

async function memory() {
  const adapter = new MemoryAdapter();
  assert.equal(await say(adapter, "Hello"), "I know 1.");
  assert.equal(await say(adapter, "Again"), "I know 3.");
  assert.equal(adapter.getSnapshot().messages.length, 4);
}

async function files() {
  const folder = mkdtempSync(join(tmpdir(), "waymark-consumer-"));
  try {
    assert.equal(await say(new FileAdapter({ directory: folder }), "Hello"), "I know 1.");
    assert.equal(execFileSync(process.execPath, [file, folder], { encoding: "utf8" }), "I know 3.\n");
    const store = new FileSessionStore({ directory: join(folder, "direct") });
    await store.addUserMessage("s", "Hello");
    assert.equal((await store.getChatHistory("s")).length, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Clients that reach no server: each adapter says so, with its own code. */
async function servers() {
  const nobody = async () => {
    throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" });
  };
  for (const adapter of [
    new PostgreSQLAdapter({ client: { query: nobody } }),
    new RedisAdapter({ redis: { evalsha: nobody, eval: nobody, info: nobody } }),
    new OpenSearchAdapter({ transport: { request: nobody } }),
  ]) {
    const persistence = new PersistenceManager({ adapter });
    const failed = persistence.saveTurn({
      session: { id: "s", data: {}, dataByRoute: {}, routeHistory: [] },
    });
    await assert.rejects(failed, ({ code }) => code.startsWith("STORAGE_"), adapter.name);
    assert.equal((await persistence.health()).reachable, false, adapter.name);
    await persistence.close();
  }
}

/** The kit itself is run by the tests of packages; here, that it is all there. */
function kit() {
  const names = [];
  const harness = {
    name: "memory",
    open: async () => ({ connect: () => new MemoryAdapter(), remove: async () => {} }),
    expects: { durability: "process", turns: true, records: false, search: false, network: "none" },
  };
  const nothing = () => {};
  const runner = {
    ...{ beforeAll: nothing, afterAll: nothing, it: (name) => names.push(name) },
    describe: (_, body) => body(),
  };
  testAdapter(harness, runner);
  assert.ok(names.length > 70, `${names.length} tests`);
}

function generator() {
  const folder = mkdtempSync(join(tmpdir(), "waymark-consumer-"));
  const bin = fileURLToPath(new URL("node_modules/@waymark/create-adapter/dist/bin.js", import.meta.url));
  const { version } = JSON.parse(
    readFileSync(new URL("node_modules/@waymark/core/package.json", import.meta.url), "utf8"),
  );
  try {
    execFileSync(process.execPath, [bin, "my-store"], { cwd: folder });
    const made = JSON.parse(readFileSync(join(folder, "my-store", "package.json"), "utf8"));
    assert.equal(made.devDependencies["@waymark/adapter-testkit"], `^${version}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
