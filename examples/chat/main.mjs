// In a terminal: the chat. Elsewhere (CI, a pipe): the same agent on a written conversation, whose process is killed.
const runs = process.argv.includes("--runs") ? Number(process.argv[process.argv.indexOf("--runs") + 1]) : 1;

try {
  if (process.stdin.isTTY) {
    const { chat } = await import("./terminal.mjs");
    await chat();
  } else {
    const { prove } = await import("./kill.mjs");
    for (let run = 1; run <= runs; run++) if (!(await prove())) process.exitCode = 1;
  }
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
