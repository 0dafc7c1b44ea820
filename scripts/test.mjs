// `npm test`: everything that has to hold before a change lands, and how it went in one table.
// `npm test -- --only core,lint` runs the suites and steps of these names alone.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPackages } from "./packages.mjs";
import { root, run } from "./run.mjs";
import { startServers } from "./servers.mjs";
import { setup } from "./setup.mjs";
import { turbo } from "./turbo.mjs";

const ci = process.env.CI === "true";
const only = process.argv.includes("--only")
  ? (process.argv[process.argv.indexOf("--only") + 1] ?? "").split(",").filter(Boolean)
  : [];
const wanted = (...names) => only.length === 0 || names.some((name) => only.includes(name));

process.env.NO_COLOR = "1";
delete process.env.FORCE_COLOR;

const node = (...args) => [process.execPath, ...args];
const bin = (path) => `${root}node_modules/${path}`;
const rows = [];
const serverLines = [];

/** A passing step is one line; a failing one shows all that it printed. */
function report({ name, passed, failed, seconds, output = "" }) {
  rows.push({ name, passed, failed, seconds });
  console.log(`${failed === 0 ? "ok    " : "FAILED"} ${name} (${seconds.toFixed(1)} s)`);
  if (failed > 0 && output) console.log(`\n${output.trimEnd()}\n`);
}

async function step(name, action) {
  const begin = performance.now();
  const { ok, output } = await action().catch((error) => ({ ok: false, output: String(error.stack) }));
  const seconds = (performance.now() - begin) / 1000;
  report({ name, passed: ok ? 1 : 0, failed: ok ? 0 : 1, seconds, output });
  return ok;
}

/** All suites in one jest process; one row for each package or example. */
async function jest({ env, missing }) {
  const folder = mkdtempSync(join(tmpdir(), "waymark-jest-"));
  const file = join(folder, "results.json");
  const flags = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"];
  const { default: config } = await import("../jest.config.js");
  const projects = config.projects
    .map(({ displayName }) => displayName)
    .filter((name) => wanted(name, "jest"))
    .filter((name) => !missing.some(({ suites }) => suites.includes(name)));
  if (projects.length === 0) return;
  const { ok, output } = await run(
    node(
      ...flags,
      bin("jest/bin/jest.js"),
      "--json",
      // By `process.exit`: a process of so many tests that ends by itself may spin for ever while Node takes its environment down
      // (seen on Node 20, in `CleanupHandles`, with no event left to wait for).
      "--forceExit",
      `--outputFile=${file}`,
      "--selectProjects",
      ...projects,
    ),
    { env },
  );
  // What a test has measured or explored is worth reading when it passes, too.
  for (const [, note] of output.matchAll(/^note: (.*)$/gm)) console.log(`       ${note}`);
  let results = [];
  try {
    results = JSON.parse(readFileSync(file, "utf8")).testResults;
  } catch {
    // jest did not get as far as writing results: the row below counts that.
  }
  rmSync(folder, { recursive: true, force: true });
  const suites = new Map();
  for (const { name, status, message, startTime, endTime, assertionResults } of results) {
    const key = name.slice(root.length).split(/[\\/]/)[1];
    const suite = suites.get(key) ?? { name: key, passed: 0, failed: 0, seconds: 0, output: "" };
    const count = (wantedStatus) =>
      assertionResults.filter((result) => result.status === wantedStatus).length;
    const failed = count("failed");
    suite.passed += count("passed");
    suite.failed += status === "failed" ? Math.max(failed, 1) : failed;
    suite.seconds += Math.max(0, endTime - startTime) / 1000;
    if (status === "failed") suite.output += `${name.slice(root.length)}\n${message}\n`;
    suites.set(key, suite);
  }
  for (const suite of suites.values()) report(suite);
  const explained = [...suites.values()].some((suite) => suite.failed > 0);
  if (!ok && !explained) report({ name: "jest", passed: 0, failed: 1, seconds: 0, output });
}

async function main() {
  if (!(await step("set-up", () => setup({ quiet: true }).then(() => ({ ok: true, output: "" }))))) return;
  const servers = await startServers((suites) => wanted(...suites, "jest"));
  serverLines.push(...servers.started);
  for (const { line } of servers.missing) {
    serverLines.push(`not run: ${line}`);
    console.log(`NOT RUN ${line}`);
    if (ci) report({ name: "servers", passed: 0, failed: 1, seconds: 0, output: line });
  }
  try {
    const built = await step("build", () => turbo(["build"]));
    if (wanted("typecheck")) await step("typecheck", () => turbo(["typecheck"]));
    if (wanted("lint")) {
      await step("lint", () => run(node(bin("oxlint/bin/oxlint"), "--deny-warnings")));
      await step("boundaries", () => run(node("scripts/boundaries.mjs")));
    }
    if (wanted("format")) {
      await step("format", () =>
        run(node(bin("prettier/bin/prettier.cjs"), "--check", "--log-level", "warn", ".")),
      );
    }
    await jest(servers);
    if (!built) return;
    if (wanted("packages")) {
      for await (const { name, ok, output, seconds } of checkPackages())
        report({ name, passed: ok ? 1 : 0, failed: ok ? 0 : 1, seconds, output });
    }
    if (wanted("docs")) await step("docs", () => run(node("scripts/docs.mjs")));
    if (wanted("smoke")) {
      await step(`smoke on Node ${process.versions.node}`, () => run(node("scripts/smoke.mjs")));
      // Downloads another Node, so only where the result decides something.
      for (const version of ci ? ["22", "24"] : []) {
        const npx = ["npx", "--yes", `node@${version}`, "scripts/smoke.mjs"];
        await step(`smoke on Node ${version}`, () => run(npx));
      }
    }
  } finally {
    await servers.stop();
  }
}

function summary() {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = (name, passed, failed, seconds) =>
    console.log(
      `${name.padEnd(width)}  ${passed.padStart(6)}  ${failed.padStart(6)}  ${seconds.padStart(7)}`,
    );
  console.log("");
  line("suite", "passed", "failed", "seconds");
  for (const { name, passed, failed, seconds } of rows)
    line(name, String(passed), String(failed), seconds.toFixed(1));
  if (serverLines.length > 0) console.log(`\n${serverLines.join("\n")}`);
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  if (sum("failed") > 0) process.exitCode = 1;
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
}

await main();
summary();
