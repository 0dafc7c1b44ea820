import { readdirSync } from "node:fs";
import { root } from "./run.mjs";

/**
 * The database servers that tests need: one file each in scripts/servers/, whose default export is
 * `{ name, variable, suites, ways }`. `variable` is the environment variable in which tests find the server's URL; where it
 * is set already, that server is used. `suites` names the jest projects that need it. `ways` are functions that are tried
 * in order; each answers `{ url, version, stop }` or, when it cannot work here, a sentence that says why.
 */
async function definitions() {
  const files = readdirSync(`${root}scripts/servers`).filter((name) => name.endsWith(".mjs"));
  return await Promise.all(files.toSorted().map(async (name) => (await import(`./servers/${name}`)).default));
}

/** Answers `{ url, version, stop }`, or why the server did not start. */
export async function startServer({ variable, ways }) {
  const url = process.env[variable];
  if (url) return { url, version: `of ${variable}`, stop: async () => {} };
  const reasons = [];
  for (const way of ways) {
    const answer = await way().catch((error) => `${error.message}.`);
    if (typeof answer !== "string") return answer;
    reasons.push(answer);
  }
  return reasons.join(" ");
}

/**
 * Starts those that `isWanted` by their suites. `env` is what the tests get to find them, `started` has one line for each,
 * `missing` has `{ suites, line }` for each that did not start; under CI each of these counts as a failed test. A signal
 * stops them before it ends the process.
 */
export async function startServers(isWanted) {
  const running = [];
  const env = {};
  const started = [];
  const missing = [];
  const stop = async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()));
  };
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ]) {
    process.once(signal, () => void stop().finally(() => process.exit(code)));
  }
  const start = async (definition) => {
    const { name, variable, suites } = definition;
    const answer = await startServer(definition);
    if (typeof answer === "string") {
      missing.push({ suites, line: `${name}: ${suites.join(", ")} did not run. ${answer}` });
      return;
    }
    running.push(answer);
    env[variable] = answer.url;
    started.push(`${name} ${answer.version}`);
  };
  // One after the other: two may install packages.
  for (const definition of await definitions()) if (isWanted(definition.suites)) await start(definition);
  return { env, started, missing, stop };
}
