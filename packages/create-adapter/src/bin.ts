#!/usr/bin/env node
import { relative } from "node:path";
import { createAdapter } from "./create.js";

const [name, ...rest] = process.argv.slice(2);

if (name === undefined || name.startsWith("-") || rest.length > 0) {
  console.error("npm create @waymark/adapter NAME\n\nWrites the package NAME into a new folder.");
  process.exitCode = 1;
} else {
  try {
    const folder = relative(process.cwd(), createAdapter(name, process.cwd()));
    console.log(`${folder} is an adapter over a Map, and passes the conformance kit:

  cd ${folder}
  npm install
  npm test

Then write the type of your store into src/store.ts: the compiler names the eight methods that are to be ported.`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
