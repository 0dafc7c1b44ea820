// `npm run bench`, or `npm run bench -- core` for one of them. Needs a build.
import { availableParallelism } from "node:os";
import { benchCore } from "./core.mjs";
import { benchEncryption } from "./encryption.mjs";
import { benchFile } from "./file.mjs";
import { benchOpenSearch } from "./opensearch.mjs";
import { benchRedis } from "./redis.mjs";
import { benchPostgres } from "./postgres.mjs";
import { benchPrisma } from "./prisma.mjs";
import { benchRetention } from "./retention.mjs";
import { benchSearch } from "./search.mjs";
import { benchSize } from "./size.mjs";
import { benchSqlite } from "./sqlite.mjs";

const all = {
  ...{ size: benchSize, core: benchCore, file: benchFile },
  ...{ postgres: benchPostgres, prisma: benchPrisma, sqlite: benchSqlite, redis: benchRedis },
  ...{ opensearch: benchOpenSearch, retention: benchRetention },
  ...{ search: benchSearch, encryption: benchEncryption },
};
const wanted = process.argv.slice(2);
console.log(
  `Node ${process.versions.node}, ${availableParallelism()} cores; medians with their 95 % interval`,
);
let kept = true;
for (const [name, bench] of Object.entries(all)) {
  if (wanted.length === 0 || wanted.includes(name)) kept = (await bench()) && kept;
}
process.exitCode = kept ? 0 : 1;
