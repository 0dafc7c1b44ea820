import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";

const kit = fileURLToPath(new URL("./conformance.test.mjs", import.meta.url));

// In a process of its own: lmdb keeps a process from ending in which two copies of its native code were loaded, as a runner
// does that gives each file of tests its own modules.
it("the adapter passes the conformance kit", async () => {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const output = await new Promise<string>((resolve, reject) => {
    const options = { env, maxBuffer: 2 ** 26, timeout: 500_000 };
    execFile(process.execPath, ["--test", kit], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${stdout}${stderr}`, { cause: error }));
    });
  });
  for (const [, note] of output.matchAll(/note: (.*)$/gm)) process.stdout.write(`note: ${note}\n`);
  expect(output).toMatch(/^. fail 0$/m);
  expect(Number(/^. pass (\d+)$/m.exec(output)?.[1])).toBeGreaterThan(70);
}, 600_000);
