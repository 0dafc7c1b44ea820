// OpenSearch for the tests: by Docker Compose, otherwise the server itself from Maven Central in a Java process.
// `node scripts/servers/opensearch.mjs FOLDER PORT` runs one node in that folder for a test of its own, until it is killed or
// its standard input ends.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { root, run } from "../run.mjs";
import { compose, folderOf, installDebian } from "../service.mjs";

const source = fileURLToPath(new URL("opensearch/", import.meta.url));
const heap = "-Xmx512m";
/** A node takes some 6 s to start; a machine that does much else takes longer. */
const startLimitMs = 120_000;

async function versionAt(url) {
  const { version } = await (await fetch(url)).json();
  return version.number;
}

async function byCompose() {
  const server = await compose("opensearch", 9200);
  if (typeof server === "string") return server;
  const url = `http://${server.host}:${server.port}`;
  return { url, version: await versionAt(url), stop: server.stop };
}

/** Installs what is missing of Java and Maven. Answers undefined, or a sentence that says why they are not there. */
async function needJava() {
  for (const [command, name] of [
    ["javac", "openjdk-17-jdk-headless"],
    ["mvn", "maven"],
  ]) {
    if ((await run([command, "-version"])).ok) continue;
    const problem = await installDebian(name);
    if (problem !== undefined) return problem;
    if (!(await run([command, "-version"])).ok) return `No ${command} was found.`;
  }
  return undefined;
}

/** The class path of a node, which is fetched and compiled once. Answers `{ classPath }`, or a sentence that says why not. */
async function prepare() {
  const files = ["pom.xml", "TestNode.java"].map((name) => join(source, name));
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  const cache = join(root, "node_modules/.cache");
  const folder = join(cache, `waymark-opensearch-${hash.digest("hex").slice(0, 16)}`);
  const classPathOf = (at) => [join(at, "classes"), join(at, "lib", "*")].join(":");
  if (existsSync(folder)) return { classPath: classPathOf(folder) };
  const problem = await needJava();
  if (problem !== undefined) return problem;
  mkdirSync(cache, { recursive: true });
  // Only what is complete gets its name: another process may do the same, and this one may be killed.
  const making = mkdtempSync(join(cache, "waymark-opensearch-making-"));
  const copy = ["dependency:copy-dependencies", `-DoutputDirectory=${join(making, "lib")}`];
  const fetched = await run(["mvn", "-q", "-B", "-f", files[0], ...copy], { timeoutMs: 900_000 });
  const compile = ["javac", "-cp", classPathOf(making), "-d", join(making, "classes"), files[1]];
  const compiled = fetched.ok ? await run(compile) : fetched;
  if (!compiled.ok) {
    rmSync(making, { recursive: true, force: true });
    const said = compiled.output.split("\n").find((line) => /error/i.test(line)) ?? compiled.output;
    return `${fetched.ok ? "javac" : "mvn"} failed: ${said.trim()}.`;
  }
  try {
    renameSync(making, folder);
  } catch (error) {
    // Another process was first.
    rmSync(making, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return { classPath: classPathOf(folder) };
}

/**
 * Starts one node, which ends when its standard input does: also when this process is killed, or, with `inherit`, whoever
 * started this process. Answers `{ port, pid, ended, stop }`, or a sentence that says why it does not come up.
 */
async function startNode(folder, port, input = "pipe") {
  const prepared = await prepare();
  if (typeof prepared === "string") return prepared;
  const args = [heap, "-XX:+UseSerialGC", "-cp", prepared.classPath, "TestNode", folder, String(port)];
  const child = spawn("java", args, { stdio: [input, "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  let said = "";
  child.stderr.on("data", (chunk) => (said = `${said}${chunk}`.slice(-4000)));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  let timer;
  const bound = await Promise.race([
    new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const [, found] = /^ready (\d+)$/.exec(line) ?? [];
        if (found !== undefined) resolve(Number(found));
      });
    }),
    ended.then(() => null),
    new Promise((resolve) => (timer = setTimeout(resolve, startLimitMs, null))),
  ]);
  clearTimeout(timer);
  if (bound !== null && (await isReady(bound))) return { port: bound, pid: child.pid, ended, stop };
  await stop();
  const why = said.split("\n").find((line) => /exception|error/i.test(line)) ?? "it said nothing";
  return `The node did not come up: ${why.trim()}.`;
}

/** Whether the indices that the node had before can be read. */
async function isReady(port) {
  const health = "_cluster/health?wait_for_status=yellow&timeout=60s";
  const answer = await fetch(`http://127.0.0.1:${port}/${health}`).catch(() => undefined);
  return answer?.ok === true;
}

async function byJava() {
  const { folder, remove } = folderOf(undefined);
  let answer = "";
  for (let tries = 0; tries < 2; tries++) {
    answer = await startNode(folder, 0);
    if (typeof answer === "string") continue;
    const { port, stop } = answer;
    const url = `http://127.0.0.1:${port}`;
    return { url, version: await versionAt(url), stop: () => stop().then(remove) };
  }
  remove();
  return answer;
}

export default {
  name: "OpenSearch",
  variable: "WAYMARK_TEST_OPENSEARCH",
  suites: ["adapter-opensearch"],
  ways: [byCompose, byJava],
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, port] = process.argv.slice(2);
  const node = await startNode(folder, Number(port), "inherit");
  if (typeof node === "string") {
    console.error(node);
    process.exit(1);
  }
  console.log(`ready ${node.port} ${node.pid}`);
  await node.ended;
  process.exit();
}
