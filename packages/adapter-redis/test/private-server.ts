import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis, type RedisOptions } from "ioredis";

/** Tests that kill or fill a server need the program here, and not one that runs in a container. */
export const hasProgram = spawnSync("redis-server", ["--version"]).status === 0;

/** A server of the test's own, which makes every write durable before it answers. */
export interface PrivateServer {
  readonly port: number;
  client(options?: RedisOptions): Redis;
  /** Ends it at once, as a power cut of the process would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export async function startServer(...settings: string[]): Promise<PrivateServer> {
  const folder = mkdtempSync(join(tmpdir(), "waymark-redis-"));
  const port = await freePort();
  const clients: Redis[] = [];
  let child: ChildProcess;
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  };
  const start = async () => {
    const durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
    const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, ...durable, ...settings];
    child = spawn("redis-server", args, { stdio: "ignore" });
    await waitFor(port);
  };
  await start();
  return {
    port,
    client(options = {}) {
      const client = new Redis(port, "127.0.0.1", options);
      // A connection that breaks is what some tests are about.
      client.on("error", () => {});
      clients.push(client);
      return client;
    },
    kill,
    start,
    async remove() {
      for (const client of clients) client.disconnect();
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function waitFor(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { stdout } = spawnSync("redis-cli", ["-p", `${port}`, "ping"], { encoding: "utf8" });
    if (/^(PONG|NOAUTH)/.test(stdout)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the server did not come up");
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
