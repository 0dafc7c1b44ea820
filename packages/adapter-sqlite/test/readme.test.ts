import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import Database from "better-sqlite3";

const pages = [
  ["../README.md", 1],
  ["../../../docs/sqlite.md", 3],
] as const;

it.each(pages)(
  "the lines of %s that need better-sqlite3 run, and store turns: %i",
  async (page, turns) => {
    const text = readFileSync(new URL(page, import.meta.url), "utf8");
    const programs = [...text.matchAll(/```ts no-run\n(.*?)```/gs)].map(([, program]) => program ?? "");
    expect(programs).toHaveLength(turns);
    const folder = mkdtempSync(join(tmpdir(), "waymark-readme-"));
    try {
      const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
      symlinkSync(modules, join(folder, "node_modules"), "junction");
      // What the package itself is called by others.
      const own = fileURLToPath(new URL("../dist/index.js", import.meta.url));
      const outputs: string[] = [];
      for (const program of programs) {
        writeFileSync(
          join(folder, "main.mjs"),
          program.replace('"@waymark/adapter-sqlite"', JSON.stringify(own)),
        );
        outputs.push((await promisify(execFile)(process.execPath, ["main.mjs"], { cwd: folder })).stdout);
      }
      const db = new Database(join(folder, "app.db"), { readonly: true });
      expect(db.prepare("SELECT content FROM agent_messages").pluck().all().length).toBe(Math.min(turns, 2));
      db.close();
      if (turns > 1) expect(outputs.at(-1)).toBe("case-2 A table for two\n");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
