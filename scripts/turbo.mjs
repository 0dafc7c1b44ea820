// turbo wants pnpm on the PATH; this finds it for everyone who has only Node and npm.
import { pathToFileURL } from "node:url";
import { pnpm, run } from "./run.mjs";

/** Runs one task of turbo.json in every package that has it. */
export function turbo(args, options) {
  return run([...pnpm, "exec", "turbo", "run", ...args, "--ui=stream", "--output-logs=errors-only"], {
    ...options,
    env: { TURBO_TELEMETRY_DISABLED: "1", TURBO_NO_UPDATE_NOTIFIER: "1" },
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.exitCode = (await turbo(process.argv.slice(2), { show: true })).code;
}
