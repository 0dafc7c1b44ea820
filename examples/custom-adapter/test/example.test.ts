import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";

const main = fileURLToPath(new URL("../main.mjs", import.meta.url));
const run = promisify(execFile);

describe("the program", () => {
  it("goes on in another process where the last one stopped", async () => {
    const folder = mkdtempSync(join(tmpdir(), "waymark-lmdb-test-"));
    try {
      await run(process.execPath, [main, folder, "Hi"]);
      const { stdout } = await run(process.execPath, [main, folder, "Hi again"]);
      expect(stdout).toBe(
        "1 user Hi\n2 assistant You have said 1 things.\n" +
          "3 user Hi again\n4 assistant You have said 2 things.\n",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 60_000);
});
