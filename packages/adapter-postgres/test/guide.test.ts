import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { printSchema } from "../src/index.js";
import { openPool, url } from "./server.js";

const run = promisify(execFile);
const pages = ["../../../docs/postgresql.md", "../README.md"];

// What the guide leaves to a migration.
const owner = openPool({ max: 1 });
beforeAll(() => owner.query(printSchema({ schema: "chat" })));
afterAll(async () => {
  await owner.query("DROP SCHEMA chat CASCADE");
  await owner.end();
});

describe.each(pages)("what %s shows", (page) => {
  const text = readFileSync(new URL(page, import.meta.url), "utf8");
  const programs = [...text.matchAll(/```ts no-run\n(.*?)```/gs)].map(([, program]) => program ?? "");

  it("is some", () => expect(programs.length).toBeGreaterThan(0));

  it.each(programs.map((program, index) => [index + 1, program] as const))(
    "runs: program %i",
    async (_, program) => {
      const folder = mkdtempSync(join(tmpdir(), "waymark-guide-"));
      try {
        symlinkSync(
          fileURLToPath(new URL("../node_modules", import.meta.url)),
          join(folder, "node_modules"),
          "junction",
        );
        // What the package itself is called by others.
        const own = fileURLToPath(new URL("../dist/index.js", import.meta.url));
        writeFileSync(
          join(folder, "main.mjs"),
          program.replace('"@waymark/adapter-postgres"', JSON.stringify(own)),
        );
        await run(process.execPath, ["main.mjs"], {
          cwd: folder,
          env: { ...process.env, DATABASE_URL: url },
        });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    60_000,
  );
});
