import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import { openSchema, url } from "./postgres.js";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const readme = read("../README.md");
const blockOf = (language: string) =>
  new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(readme)?.[1] ?? "";

it("the fragment of the README is the file of the package, for both providers", () => {
  expect(blockOf("prisma")).toBe(read("../schema/postgresql.prisma"));
  expect(read("../schema/sqlite.prisma")).toBe(read("../schema/postgresql.prisma"));
});

it("the example of the README runs", async () => {
  const store = await openSchema("readme");
  const file = fileURLToPath(new URL(`../.clients/readme-${process.pid}.mjs`, import.meta.url));
  writeFileSync(file, blockOf("js").replace("./generated/prisma/client.js", "./postgresql/client.js"));
  // The application's schema is the first of the search path.
  const address = new URL(url);
  address.searchParams.set("options", `-c search_path=${store.schema}`);
  await promisify(execFile)(process.execPath, [file], {
    env: { ...process.env, DATABASE_URL: address.href },
  });
  expect(await store.query("SELECT content FROM agent_messages")).toEqual([{ content: "Hi" }]);
  await store.remove();
});
