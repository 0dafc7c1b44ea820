import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";

const script = fileURLToPath(new URL("children/memory.node.mjs", import.meta.url));

function runNode(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; output: string }> {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...rest } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, [...args, script], { env: { ...rest, ...env } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr });
    });
  });
}

describe("node's own runner", () => {
  it("runs the kit, with a timeout of each test's own", async () => {
    const { code, output } = await runNode(["--test", "--test-reporter=tap"], {});
    expect(output).toMatch(/# fail 0/);
    expect(output).toMatch(/# pass 1[2-9]\d|# pass [2-9]\d\d/);
    expect(code).toBe(0);
  }, 120_000);

  it("shows what failed, and runs that case alone with its seed", async () => {
    const name = "P6: generated rows come back verbatim";
    const args = ["--test", "--test-reporter=tap", "--test-name-pattern", name];
    const { code, output } = await runNode(args, { WRONG: "1", WAYMARK_KIT_SEED: "11" });
    expect(code).toBe(1);
    expect(output).toMatch(/WAYMARK_KIT_SEED=11/);
    expect(output).toMatch(/# fail 1/);
  }, 120_000);
});
