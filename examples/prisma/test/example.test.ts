import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, expect, it, jest } from "@jest/globals";

jest.setTimeout(300_000);

const here = fileURLToPath(new URL("..", import.meta.url));
const prisma = dirname(createRequire(import.meta.url).resolve("prisma/package.json"));
const execute = promisify(execFile);

let folder: string;
let env: NodeJS.ProcessEnv;
let child: ChildProcess | undefined;

beforeAll(async () => {
  const generate = [join(prisma, "build", "index.js"), "generate"];
  // To make a client needs no engine; this keeps it from being looked for on the network.
  const environment = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath };
  await execute(process.execPath, generate, { cwd: here, env: environment });
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "waymark-example-prisma-"));
  env = { ...process.env, DATABASE_URL: `file:${join(folder, "shop.db")}` };
  const { stdout } = await execute(process.execPath, ["migrate.mjs"], { cwd: here, env });
  expect(stdout).toBe("applied 20250101000000_orders\napplied 20250102000000_waymark\n");
});

afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A process of the example, with what says a line and what waits for so many lines of its answer. */
function start(id: string) {
  const started = spawn(process.execPath, ["main.mjs", id], {
    cwd: here,
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  child = started;
  const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  const read = async (count: number): Promise<string[]> => {
    const found: string[] = [];
    while (found.length < count) {
      const { done, value } = await lines.next();
      if (done === true) break;
      found.push(value);
    }
    return found;
  };
  return {
    read,
    say: (text: string) => started.stdin.write(`${text}\n`),
    async kill() {
      const ended = once(started, "exit");
      started.kill("SIGKILL");
      await ended;
    },
    async end() {
      started.stdin.end();
      const [code] = await once(started, "exit");
      expect(code).toBe(0);
    },
  };
}

it("a conversation that is killed goes on in a new process, and ends with one order", async () => {
  // What is applied is not applied again.
  expect((await execute(process.execPath, ["migrate.mjs"], { cwd: here, env })).stdout).toBe("");
  const first = start("my-order");
  first.say("A pizza, please");
  expect(await first.read(1)).toEqual(["assistant: How many?"]);
  await first.kill();

  const second = start("my-order");
  expect(await second.read(2)).toEqual(["user: A pizza, please", "assistant: How many?"]);
  second.say("12");
  expect(await second.read(1)).toEqual(["assistant: Sorry, we have 9 boxes. How many?"]);
  second.say("3");
  expect(await second.read(1)).toEqual(["assistant: What is your name?"]);
  second.say("My name is Ada");
  expect(await second.read(2)).toEqual(["assistant: Thank you.", "assistant: Order 1: 3 x pizza for Ada."]);
  await second.end();

  const third = start("my-order");
  expect((await third.read(9)).slice(-2)).toEqual([
    "assistant: Thank you.",
    "assistant: Order 1: 3 x pizza for Ada.",
  ]);
  await third.end();
});

it("an order is stored with its turn or not at all", async () => {
  const program = `
    const { openDatabase } = await import("./database.mjs");
    const { placeOrder } = await import("./order.mjs");
    const { shopAgent } = await import("./agent.mjs");
    const prisma = await openDatabase();
    const session = shopAgent(prisma).session("s");
    await session.chat("2 salads, my name is Bob");
    const failing = prisma.$extends({ query: { agentMessage: { createMany() { throw new Error("no"); } },
      agentSession: { update() { throw new Error("no"); } } } });
    const refused = await placeOrder(failing, "s").catch((error) => error.code);
    const between = [await prisma.order.count(), (await session.messages()).length];
    const placed = await placeOrder(prisma, "s");
    const again = await placeOrder(prisma, "s");
    const after = [await prisma.order.count(), (await session.messages()).length];
    console.log(JSON.stringify({ refused, between, placed, again, after }));
    await prisma.$disconnect();`;
  const { stdout } = await execute(process.execPath, ["--input-type=module", "-e", program], {
    cwd: here,
    env,
  });
  expect(JSON.parse(stdout)).toEqual({
    ...{ refused: "STORAGE_FAILED", between: [0, 2], after: [1, 3], again: null },
    placed: "Order 1: 2 x salad for Bob.",
  });
});

it("its schema has the fragment of the adapter as it is", () => {
  const read = (path: string) => readFileSync(join(here, path), "utf8");
  expect(read("prisma/schema.prisma")).toContain(read("../../packages/adapter-prisma/schema/sqlite.prisma"));
});
