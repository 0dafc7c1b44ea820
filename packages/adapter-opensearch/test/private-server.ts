import { spawnSync } from "node:child_process";
import { type PrivateServer as Server, startPrivate } from "../../../scripts/private.mjs";

/** Tests that kill a server need the program here, and not one that runs in a container. */
export const hasProgram = ["javac", "mvn"].every((name) => spawnSync(name, ["-version"]).status === 0);

/** A node of the test's own. */
export interface PrivateServer extends Server {
  readonly url: string;
}

export async function startServer(): Promise<PrivateServer> {
  const server = await startPrivate("opensearch");
  return { ...server, url: `http://${server.host}:${server.port}` };
}
