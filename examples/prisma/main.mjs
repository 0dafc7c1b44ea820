// `node main.mjs <id>`: a conversation, a line a turn. Kill it whenever you like, and start it again with the same id.
import { createInterface } from "node:readline";
import { shopAgent } from "./agent.mjs";
import { openDatabase } from "./database.mjs";
import { placeOrder } from "./order.mjs";

const id = process.argv[2] ?? "my-order";
const prisma = await openDatabase();
const session = shopAgent(prisma).session(id);

const before = await session.messages({ limit: 100 });
for (const { role, content } of before) console.log(`${role}: ${content}`);

async function order() {
  const placed = await placeOrder(prisma, id);
  if (placed !== null) console.log(`assistant: ${placed}`);
}

// A process that was killed after the last turn has left the order to this one.
await order();
for await (const line of createInterface({ input: process.stdin })) {
  const { message } = await session.chat(line);
  console.log(`assistant: ${message}`);
  await order();
}
await prisma.$disconnect();
