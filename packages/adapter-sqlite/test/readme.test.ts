import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import Database from "better-sqlite3";

it("the lines of the README that need better-sqlite3 run, and store a turn", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const program = /```ts no-run\n(.*?)```/s.exec(readme)?.[1] ?? "";
  const folder = mkdtempSync(join(tmpdir(), "waymark-readme-"));
  try {
    const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
    symlinkSync(modules, join(folder, "node_modules"), "junction");
    // What the package itself is called by others.
    const own = fileURLToPath(new URL("../dist/index.js", import.meta.url));
    writeFileSync(
      join(folder, "main.mjs"),
      program.replace('"@waymark/adapter-sqlite"', JSON.stringify(own)),
    );
    await promisify(execFile)(process.execPath, ["main.mjs"], { cwd: folder });
    const db = new Database(join(folder, "app.db"), { readonly: true });
    expect(db.prepare("SELECT content FROM agent_messages").pluck().all().length).toBe(1);
    db.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 30_000);
