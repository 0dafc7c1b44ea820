import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Tests that kill a server need the program here, and not one that runs in a container. */
export const hasProgram = ["javac", "mvn"].every((name) => spawnSync(name, ["-version"]).status === 0);

/** A node of the test's own. */
export interface PrivateServer {
  readonly url: string;
  /** Ends it at once, as a power cut of the process would. */
  kill(): Promise<void>;
  /** Starts it again, with the data and at the address that it had. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

const program = fileURLToPath(new URL("../../../scripts/servers/opensearch.mjs", import.meta.url));

export async function startServer(): Promise<PrivateServer> {
  const folder = mkdtempSync(join(tmpdir(), "waymark-opensearch-"));
  let child: ChildProcess;
  let pid = 0;
  let port = 0;

  async function start(): Promise<void> {
    child = spawn(process.execPath, [program, folder, String(port)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const output = child.stdout;
    if (output === null) throw new Error("the node has no output");
    for await (const line of createInterface({ input: output })) {
      const [, foundPort, foundPid] = /^ready (\d+) (\d+)$/.exec(line) ?? [];
      if (foundPort === undefined) continue;
      port = Number(foundPort);
      pid = Number(foundPid);
      return;
    }
    throw new Error("the node did not come up");
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    process.kill(pid, "SIGKILL");
    await ended;
  }

  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    kill,
    start,
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
