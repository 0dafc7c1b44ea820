// Runs in a process of its own: makes an adapter by the harness's entry, and does what it is sent.
import type { PersistenceAdapter } from "@waymark/core/adapter";
import { createTurnClient } from "../turn-client.js";
import { withoutTurns } from "../watch.js";
import { runWriter } from "../writer.js";
import { countUp } from "./count.js";
import { judgeSessions, saveUntilKilled } from "./kill-worker.js";
import type { Reply, Task, WorkerInput } from "./task.js";

/** Resolves when the reply is on its way: what is still waiting when the channel is closed is lost. */
function send(reply: Reply): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) return resolve();
    // Where nobody listens any more, nobody is to be told.
    process.send(reply, undefined, undefined, () => resolve());
  });
}

async function connect({ entry, address, path }: WorkerInput): Promise<PersistenceAdapter> {
  const module: { default?: unknown } = await import(entry);
  const { default: make } = module;
  if (typeof make !== "function") throw new TypeError(`${entry} has no function as its default export`);
  const adapter: PersistenceAdapter = await make(address);
  await adapter.initialize?.();
  return path === "through the outbox" ? withoutTurns(shown(adapter)) : adapter;
}

/** An adapter's own methods need it as `this`, which a spread copy would not be. */
function shown(adapter: PersistenceAdapter): PersistenceAdapter {
  const { name, durability, limits, sessionRepository, messageRepository, records } = adapter;
  const flush = async () => adapter.flush?.();
  const disconnect = async () => adapter.disconnect?.();
  return { name, durability, limits, sessionRepository, messageRepository, records, flush, disconnect };
}

async function run(adapter: PersistenceAdapter, task: Task): Promise<void> {
  if (task.kind === "write") {
    await send({ kind: "written", calls: await runWriter(createTurnClient(adapter), task.plan) });
  } else if (task.kind === "count") {
    await send({ kind: "counted", numbers: await countUp(adapter, task.plan) });
  } else {
    await send({ kind: "judged", seen: await judgeSessions(adapter, task.sessions) });
    if (task.kind === "save")
      await saveUntilKilled(adapter, task, (session, n) => void send({ kind: "saved", session, n }));
  }
}

async function main(): Promise<void> {
  const input: WorkerInput = JSON.parse(process.argv[2] ?? "{}");
  const adapter = await connect(input);
  process.on("message", (task: Task) => {
    run(adapter, task)
      .then(() => adapter.disconnect?.())
      .catch((error: unknown) =>
        send({
          kind: "failed",
          why: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
      )
      .finally(() => process.disconnect());
  });
  await send({ kind: "ready" });
}

main().catch(async (error: unknown) => {
  await send({
    kind: "failed",
    why: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  process.disconnect();
});
