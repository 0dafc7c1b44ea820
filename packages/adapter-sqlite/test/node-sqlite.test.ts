import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";

const script = fileURLToPath(new URL("children/node-sqlite.mjs", import.meta.url));

function run(
  command: string,
  args: readonly string[],
): Promise<{ code: number; output: string; errors: string }> {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(command, args, { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout, errors: stderr });
    });
  });
}

/** This Node where it has the module, otherwise the next major, which npm has. */
async function nodeWithSqlite(): Promise<string> {
  if (Number(process.versions.node.split(".")[0]) >= 22) return process.execPath;
  const { output } = await run("npx", ["--yes", "node@22", "-p", "process.execPath"]);
  return output.trim();
}

it("passes the whole kit on node:sqlite", async () => {
  const node = await nodeWithSqlite();
  const { output: version } = await run(node, [
    "--no-warnings",
    "-p",
    "new (require('node:sqlite').DatabaseSync)(':memory:').prepare('SELECT sqlite_version() AS v').get().v + ' in Node ' + process.version",
  ]);
  const { code, output, errors } = await run(node, [
    "--no-warnings",
    "--test",
    "--test-reporter=tap",
    script,
  ]);
  expect(errors + output).toMatch(/# fail 0/);
  const passed = Number(/# pass (\d+)/.exec(output)?.[1]);
  expect(passed).toBeGreaterThan(130);
  expect(code).toBe(0);
  process.stdout.write(`note: node:sqlite (SQLite ${version.trim()}): ${passed} tests passed\n`);
}, 300_000);
