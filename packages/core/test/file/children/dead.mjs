// Dies with the lock of a session in its hands.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { directory, commit } = JSON.parse(process.argv[2]);
const write = fs.writeSync;
fs.writeSync = (handle, bytes, ...rest) => {
  if (Buffer.isBuffer(bytes)) process.kill(process.pid, "SIGKILL");
  return write(handle, bytes, ...rest);
};
syncBuiltinESMExports();

const { FileAdapter } = await import("@waymark/core/file");
await new FileAdapter({ directory }).turns.commit([commit]);
