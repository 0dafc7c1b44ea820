// What an application that uses all of core's main entry ships to a neutral platform.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { row } from "./stats.mjs";

export async function benchSize() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(import.meta.resolve("@waymark/core"))],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "neutral",
    write: false,
  });
  const kilobytes = gzipSync(outputFiles[0].contents).length / 1000;
  return row("core, min and gzip", { median: kilobytes, low: kilobytes, high: kilobytes }, 60, " kB");
}
