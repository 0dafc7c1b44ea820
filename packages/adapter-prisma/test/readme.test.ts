import { execFile } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import { openPool, tables, url } from "./postgres.js";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const readme = read("../README.md");
const blockOf = (language: string) =>
  new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(readme)?.[1] ?? "";

it("the fragment of the README is the file of the package, for both providers", () => {
  expect(blockOf("prisma")).toBe(read("../schema/postgresql.prisma"));
  expect(read("../schema/sqlite.prisma")).toBe(read("../schema/postgresql.prisma"));
});

it("what the README gives for Prisma 6 is what the tests use", () => {
  expect(readme).toContain(`\`\`\`js\n${read("prisma-6/giving-back.mjs")}`);
});

it("the example of the README runs", async () => {
  const database = `readme_${process.pid}`;
  const server = openPool({ max: 1 });
  await server.query(`CREATE DATABASE ${database}`);
  const address = new URL(url);
  address.pathname = `/${database}`;
  const pool = openPool({ connectionString: address.href, max: 1 });
  await pool.query(tables);
  const file = fileURLToPath(new URL(`../.clients/readme-${process.pid}.mjs`, import.meta.url));
  writeFileSync(file, blockOf("js").replace("./generated/prisma/client.js", "./postgresql/client.js"));
  const env = { ...process.env, DATABASE_URL: address.href };
  await promisify(execFile)(process.execPath, [file], { env });
  expect((await pool.query("SELECT content FROM agent_messages")).rows).toEqual([{ content: "Hi" }]);
  rmSync(file);
  await pool.end();
  await server.query(`DROP DATABASE ${database}`);
  await server.end();
}, 120_000);
