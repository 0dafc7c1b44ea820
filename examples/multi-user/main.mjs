// Several people on one agent and one store. `node main.mjs [FOLDER]`; without a folder, in one that is removed at the end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, isWaymarkError } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import { scriptedModel } from "@waymark/core/testing";

const [, , given] = process.argv;
const directory = given ?? mkdtempSync(join(tmpdir(), "waymark-users-"));

// The agent belongs to nobody: each call says for whom it is.
const agent = new Agent({
  name: "Help",
  provider: scriptedModel(({ history }) => `Noted, that makes ${history.length}.`),
  persistence: { adapter: new FileAdapter({ directory }) },
});
const persistence = agent.getPersistenceManager();

try {
  await talk();
  await stayApart();
  await list("ada");
  await erase("ada");
} finally {
  await persistence.close();
  if (given === undefined) rmSync(directory, { recursive: true });
}

async function talk() {
  console.log("1. Two people talk at the same time, Ada in five sessions and Grace in one.");
  const ada = ["one", "two", "three", "four", "five"].map((name) =>
    agent.session(`ada-${name}`, { userId: "ada" }).chat(`My case is number ${name}.`),
  );
  await Promise.all([...ada, agent.session("grace-one", { userId: "grace" }).chat("Mine is a secret.")]);
}

async function stayApart() {
  console.log("\n2. Ada knows the id of Grace's session, and tries everything.");
  const stolen = agent.session("grace-one", { userId: "ada" });
  const tries = {
    "read its messages": async () => (await stolen.messages()).length,
    "read its state": async () => (await stolen.state()).version ?? "a new one",
    "look it up": async () => await persistence.findSessionById("grace-one", { userId: "ada" }),
    "say something": () => stolen.chat("What did she say?"),
    "add a message": () => stolen.addMessage("user", "Me, too."),
    "change its metadata": () => stolen.set("owner", "ada"),
    "export it": () => stolen.export(),
    "remove its messages": () => stolen.clear(),
    "delete it": () => stolen.delete(),
  };
  for (const [what, attempt] of Object.entries(tries)) {
    console.log(`   ${what.padEnd(20)} ${await outcomeOf(attempt)}`);
  }
  const [said] = await agent.session("grace-one", { userId: "grace" }).messages();
  console.log(`   Grace's session has what Grace said: ${said.content}`);
}

async function outcomeOf(attempt) {
  try {
    return String(await attempt());
  } catch (error) {
    if (!isWaymarkError(error)) throw error;
    return error.code;
  }
}

async function list(userId) {
  console.log("\n3. Ada lists her sessions, two a page.");
  let cursor;
  do {
    const page = await persistence.findSessionsByUserId(userId, { limit: 2, cursor });
    console.log(`   ${page.map(({ id, messageCount }) => `${id} (${messageCount} messages)`).join(", ")}`);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}

async function erase(userId) {
  console.log("\n4. Ada wants to be forgotten.");
  const { sessions, messages, passes } = await persistence.eraseUser(userId);
  console.log(`   ${sessions} sessions with ${messages} messages were removed, in ${passes} passes:`);
  console.log("   the last of them found nothing more.");
  console.log(`   Ada has ${(await persistence.findSessionsByUserId("ada")).length} sessions,`);
  console.log(`   Grace has ${(await persistence.findSessionsByUserId("grace")).length}.`);
}
