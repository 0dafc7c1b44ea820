// Makes the tables from the migrations in prisma/, as `npx prisma migrate deploy` does, but without its engine.
import { readFileSync, readdirSync } from "node:fs";
import { openDatabase } from "./database.mjs";

const folder = new URL("prisma/migrations/", import.meta.url);
const prisma = await openDatabase();
await prisma.$executeRawUnsafe("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)");
const done = await prisma.$queryRawUnsafe("SELECT name FROM migrations");
const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
for (const { name } of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
  if (done.some((row) => row.name === name)) continue;
  const text = readFileSync(new URL(`${name}/migration.sql`, folder), "utf8").replaceAll(/^--.*$/gm, "");
  await prisma.$transaction(async (tx) => {
    for (const statement of text.split(";\n"))
      if (statement.trim() !== "") await tx.$executeRawUnsafe(statement);
    await tx.$executeRawUnsafe("INSERT INTO migrations VALUES (?)", name);
  });
  console.log(`applied ${name}`);
}
await prisma.$disconnect();
