import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type PrivateServer as Server, startPrivate } from "../../../scripts/private.mjs";

/** Tests that kill a server need its programs here, and not one that runs in a container. */
export const hasProgram =
  existsSync("/usr/lib/postgresql") || spawnSync("pg_config", ["--bindir"]).status === 0;

/** Whether a server has to be here: where it must not be left out, its absence is a failure. */
export const wantsServer = hasProgram || process.env["CI"] === "true";

export const password = "open-sesame";

/** A server of the test's own, whose user logs in with a password. */
export interface PrivateServer extends Server {
  readonly url: string;
}

export async function startServer(): Promise<PrivateServer> {
  const server = await startPrivate("postgres", password);
  return { ...server, url: `postgres://postgres:${password}@${server.host}:${server.port}/postgres` };
}
