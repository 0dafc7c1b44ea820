// `npm start`: from a fresh clone to the chat example in one command.
import { root, run } from "./run.mjs";
import { setup } from "./setup.mjs";

try {
  await setup();
  // tsc compares time stamps and does nothing when the built package is up to date.
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  const built = await run([process.execPath, tsc, "-b", `${root}packages/core/tsconfig.build.json`]);
  if (!built.ok) throw new Error(`Building @waymark/core failed.\n${built.output}`);
  const chat = [process.execPath, `${root}examples/chat/main.mjs`, ...process.argv.slice(2)];
  process.exitCode = (await run(chat, { show: true })).code;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
