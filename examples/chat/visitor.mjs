// A process of its own: says the lines that are not stored yet, and tells its parent what happens as it happens.
import { bookingAgent } from "./agent.mjs";
import { ruleModel } from "./model.mjs";
import { lines } from "./script.mjs";
import { summary } from "./summary.mjs";

let turn = 0;
const provider = {
  ...ruleModel,
  async generate(request) {
    const reply = await ruleModel.generate(request);
    process.send({ event: "answered", turn });
    return reply;
  },
};

const session = bookingAgent({ provider }).session(process.argv[2]);
const stored = await session.messages({ limit: 1000 });

for (turn = stored.filter(({ role }) => role === "user").length; turn < lines.length; turn++) {
  const { message, session: state, saved } = await session.chat(lines[turn]);
  process.send({ event: "acknowledged", turn, message, ...summary(state, saved.last) });
}
// The parent ends this process: by disconnecting when all is said, or by force.
