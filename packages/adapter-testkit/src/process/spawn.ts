import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Json } from "@waymark/core/adapter";
import type { Harness } from "../harness.js";
import type { Path } from "../level.js";
import type { World } from "../world.js";
import type { Reply, Task } from "./task.js";

/** A process that works on the same store. */
export interface Worker {
  /** The next thing that it says. Rejects where it failed, died or kept silent. */
  next(): Promise<Reply>;
  send(task: Task): void;
  /** Ends it at once; resolves to what it had said by then and nobody had read. */
  kill(): Promise<readonly Reply[]>;
}

// From the source and from the build alike, what runs is the build: another process knows nothing of a test runner.
const script = fileURLToPath(new URL("../../dist/process/worker.js", import.meta.url));
const silenceMs = 60_000;

/** Starts a worker that has connected. */
export async function startWorker(
  { processEntry }: Harness,
  address: Json | undefined,
  path: Path,
): Promise<Worker> {
  if (processEntry === undefined || address === undefined) {
    throw new TypeError(
      "other processes reach the store by the harness's `processEntry` and by the `address` of what `open` gives: both have to be there",
    );
  }
  if (!existsSync(script)) throw new Error(`${script} is not there: build @waymark/adapter-testkit`);
  const input = JSON.stringify({ entry: String(processEntry), address, path });
  const child = fork(script, [input], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  const worker = listen(child);
  const first = await worker.next();
  if (first.kind !== "ready") throw new Error(`a worker began with ${first.kind}`);
  return worker;
}

/** Gives each of some workers its task, and waits for what each says. */
export async function runInProcesses(
  { harness, address, path }: Pick<World, "harness" | "address" | "path">,
  tasks: readonly Task[],
): Promise<Reply[]> {
  const workers: Worker[] = [];
  try {
    // Two at a time: so many are started fastest.
    while (workers.length < tasks.length) {
      const start = () => startWorker(harness, address, path);
      workers.push(...(await Promise.all([start(), start()])));
    }
    tasks.forEach((task, index) => workers[index]?.send(task));
    return await Promise.all(workers.slice(0, tasks.length).map((worker) => worker.next()));
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
  }
}

function listen(child: ChildProcess): Worker {
  const replies: Reply[] = [];
  let errors = "";
  let hasEnded = false;
  let wake: () => void = () => {};
  child.on("message", (reply: Reply) => {
    replies.push(reply);
    wake();
  });
  child.stderr?.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)));
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      hasEnded = true;
      resolve();
      wake();
    };
    // All that it said has arrived when its streams are closed.
    child.on("close", end);
    child.on("error", (error) => {
      errors += String(error);
      end();
    });
  });

  async function next(): Promise<Reply> {
    const timer = setTimeout(() => child.kill("SIGKILL"), silenceMs);
    try {
      if (replies.length === 0 && !hasEnded) await new Promise<void>((resolve) => (wake = resolve));
    } finally {
      clearTimeout(timer);
    }
    const reply = replies.shift();
    if (reply === undefined) {
      const how = child.signalCode === null ? `with code ${child.exitCode}` : `by ${child.signalCode}`;
      throw new Error(
        `a worker process ended ${how} before it had done its work. It wrote: ${errors.trim() || "nothing"}`,
      );
    }
    if (reply.kind === "failed") {
      await ended;
      throw new Error(`a worker process failed: ${reply.why}`);
    }
    return reply;
  }

  return {
    next,
    send: (task) => void child.send(task),
    async kill() {
      child.kill("SIGKILL");
      await ended;
      return replies.splice(0);
    },
  };
}
