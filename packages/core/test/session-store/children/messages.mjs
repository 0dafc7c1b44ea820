// Adds numbered messages to one session.
import { FileSessionStore } from "@waymark/core/session-store";

const { directory, id, name, count, maxMessages } = JSON.parse(process.argv[2]);
const store = new FileSessionStore({ directory, maxMessages });
try {
  for (let n = 1; n <= count; n++) await store.addUserMessage(id, `${name}-${n}`);
  await store.close();
  process.send({ done: true });
} catch (error) {
  process.send({ code: error.code, message: error.message });
}
process.disconnect();
