// One process of one person: says each text to the agent's own session, and prints how many messages the model was shown.
import { Agent } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import { scriptedModel } from "@waymark/core/testing";

const { sessionId, directory, texts } = JSON.parse(process.argv[2]);
const agent = new Agent({
  name: "Count",
  provider: scriptedModel(({ history }) => String(history.length)),
  ...(sessionId === undefined ? {} : { sessionId }),
  ...(directory === undefined ? {} : { persistence: { adapter: new FileAdapter({ directory }) } }),
});
const shown = [];
for (const text of texts) shown.push(Number((await agent.chat(text)).message));
console.log(JSON.stringify(shown));
