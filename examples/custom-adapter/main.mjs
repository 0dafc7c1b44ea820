// One turn of a conversation that is kept in LMDB: `node main.mjs FOLDER TEXT`. Run it again, and it goes on.
import { Agent } from "@waymark/core";
import { LmdbAdapter } from "@waymark/example-custom-adapter";
import { open } from "lmdb";

const [path = "sessions", text = "Hello"] = process.argv.slice(2);
const database = open({ path, overlappingSync: false });

const agent = new Agent({
  name: "Counter",
  // Stands in for a language model.
  provider: {
    name: "counter",
    generate: async ({ history }) => ({
      message: `You have said ${history.filter(({ role }) => role === "user").length} things.`,
    }),
  },
  persistence: { adapter: new LmdbAdapter(database) },
});

try {
  const session = agent.session("visitor-7");
  await session.chat(text);
  for (const { sequence, role, content } of await session.messages()) console.log(sequence, role, content);
} finally {
  await agent.getPersistenceManager().close();
  await database.close();
}
