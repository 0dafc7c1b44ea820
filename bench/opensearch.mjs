// OpenSearch against the least that a turn needs there: the session's document written with `if_seq_no`, with the two
// messages inside, and then the messages by one bulk request, before the next turn writes over them. Both alternate in one
// run, on one node, with the same mappings, each with a client of its own. A block ends when all its messages are delivered.
import { PersistenceManager } from "@waymark/core";
import { OpenSearchAdapter, indexDefinitions } from "@waymark/adapter-opensearch";
import { Client } from "@opensearch-project/opensearch";
import { startServer } from "../scripts/servers.mjs";
import definition from "../scripts/servers/opensearch.mjs";
import { bookingSession, byManager, exchange } from "./session.mjs";
import { compare, each, row } from "./stats.mjs";

const sessions = "hand-sessions";
const messages = "hand-messages";

/** Each turn leaves the delivery of its messages in `deliveries`. */
function byHand(client, id, deliveries) {
  const session = bookingSession(id);
  let written = null;
  let last = 0;
  let delivered = Promise.resolve();
  const deliver = async (pending) => {
    const lines = pending.flatMap((message) => [
      { create: { _id: `${id}:${message.sequence}`, routing: id } },
      message,
    ]);
    const { body } = await client.bulk({ index: messages, body: lines });
    if (body.errors) throw new Error("not delivered");
  };
  return async () => {
    session.data.count0++;
    const now = Date.now();
    const pending = exchange.map((message) => {
      return { sessionId: id, sequence: ++last, ...message, createdAt: now, body: "{}" };
    });
    const body = { id, status: "active", createdAt: 1, updatedAt: now, last };
    body.state = JSON.stringify(session);
    body.system = JSON.stringify({ pending, operation: crypto.randomUUID() });
    await delivered;
    const condition = written === null ? { op_type: "create" } : written;
    const answer = await client.index({ index: sessions, id, body, ...condition });
    const { _seq_no: if_seq_no, _primary_term: if_primary_term } = answer.body;
    written = { if_seq_no, if_primary_term };
    delivered = deliver(pending);
    deliveries.push(delivered);
  };
}

async function measure(client, manager, deliveries) {
  const settled = () => Promise.all(deliveries.splice(0));
  const compared = (before, after, pairs) => compare(before, after, { pairs, settled });
  const both = (id) => [byHand(client, id, deliveries), byManager(manager, id)];
  await compared(...both("warm"), 100);
  const [hand, turn] = both("s");
  await compared(hand, turn, 2);
  const early = await compared(hand, turn, 120);
  let kept = row("OpenSearch against the outbox by hand, from turn 10", early, 1.3);
  for (let turns = 310; turns < 1000; turns++) await Promise.all([hand(), turn()]);
  kept = row("one session from turn 1,000", await compared(hand, turn, 120), 1.3) && kept;
  const many = Array.from({ length: 32 }, (_, index) => both(`c${index}`));
  const all = (side) =>
    each(
      many.map((works) => works[side]),
      5,
    );
  await compare(all(0), all(1), { pairs: 5, rounds: 1, settled });
  return row("32 sessions at once", await compare(all(0), all(1), { pairs: 20, rounds: 1, settled })) && kept;
}

export async function benchOpenSearch() {
  const server = await startServer(definition);
  if (typeof server === "string") {
    console.log(`MISSED opensearch: ${server}`);
    return false;
  }
  const clients = [0, 1].map(() => new Client({ node: server.url }));
  const deliveries = [];
  const adapter = new OpenSearchAdapter(clients[1]);
  const manager = new PersistenceManager({ adapter, waitUntil: (work) => deliveries.push(work) });
  try {
    for (const [path, { settings, mappings }] of [
      [sessions, indexDefinitions.sessions],
      [messages, indexDefinitions.messages],
    ])
      await clients[0].transport.request({ method: "PUT", path: `/${path}`, body: { settings, mappings } });
    return await measure(clients[0], manager, deliveries);
  } finally {
    await manager.close();
    for (const client of clients) await client.close();
    await server.stop();
  }
}
