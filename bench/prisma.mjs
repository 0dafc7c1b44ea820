// Prisma against the cheapest correct call of its client by hand: the nested update that compares a version, sets the state,
// adds two messages and keeps the operation's id. Both alternate in one run, on one PostgreSQL server, in the same models, each
// with a client and tables of its own.
import { readFileSync } from "node:fs";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaAdapter } from "@waymark/adapter-prisma";
import { PersistenceManager } from "@waymark/core";
import { Pool } from "pg";
import generate from "../packages/adapter-prisma/test/generate.mjs";
import { startServer } from "../scripts/servers.mjs";
import definition from "../scripts/servers/postgres.mjs";
import { bookingSession, byManager, exchange } from "./session.mjs";
import { compare, each, row, warmUp } from "./stats.mjs";

const tables = readFileSync(
  new URL("../packages/adapter-prisma/test/sql/postgresql.sql", import.meta.url),
  "utf8",
);

async function byHand(prisma, id) {
  const session = bookingSession(id);
  await prisma.agentSession.create({ data: { id, collectedData: {}, version: "0" } });
  let version = 0;
  let last = 0;
  return async () => {
    session.data.count0++;
    const messages = exchange.map(({ role, content }, index) => ({
      ...{ role, content, sequence: last + index + 1, log: "l", createdAt: new Date() },
    }));
    await prisma.agentSession.update({
      where: { id, version: `${version}` },
      data: {
        version: `${version + 1}`,
        collectedData: session,
        messageCount: last + messages.length,
        lastMessageAt: new Date(),
        system: crypto.randomUUID(),
        messages: { createMany: { data: messages } },
      },
      select: { id: true },
    });
    version++;
    last += messages.length;
  };
}

async function measure(prisma, manager) {
  await warmUp(
    (id) => byHand(prisma, id),
    (id) => byManager(manager, id),
  );
  const hand = await byHand(prisma, "s");
  const turn = byManager(manager, "s");
  await compare(hand, turn, { pairs: 2 });
  let kept = row(
    "Prisma against one nested update by hand, from turn 10",
    await compare(hand, turn, { pairs: 120 }),
    1.2,
  );
  const ids = Array.from({ length: 32 }, (_, index) => `c${index}`);
  const hands = each(await Promise.all(ids.map((id) => byHand(prisma, id))), 5);
  const turns = each(
    ids.map((id) => byManager(manager, id)),
    5,
  );
  row("32 sessions at once", await compare(hands, turns, { pairs: 12, rounds: 1 }));
  for (let done = 610; done < 10_000; done++) await Promise.all([hand(), turn()]);
  kept = row("one session from turn 10,000", await compare(hand, turn, { pairs: 120 }), 1.2) && kept;
  const resumeHand = async () => {
    const { messages } = await prisma.agentSession.findUnique({
      where: { id: "s" },
      include: { messages: { orderBy: { sequence: "desc" }, take: 50 } },
    });
    if (messages.length !== 50) throw new Error("not 50");
  };
  const resume = async () => {
    const { messages } = await manager.open("s", { last: 50 });
    if (messages.length !== 50) throw new Error("not 50");
  };
  await compare(resumeHand, resume, { pairs: 20 });
  return row("state and the last 50 messages", await compare(resumeHand, resume, { pairs: 80 }), 1.2) && kept;
}

export async function benchPrisma() {
  const server = await startServer(definition);
  if (typeof server === "string") {
    console.log(`MISSED prisma: ${server}`);
    return false;
  }
  generate();
  const { PrismaClient } = await import("../packages/adapter-prisma/.clients/postgresql/client.js");
  const clients = [];
  for (const schema of ["hand", "waymark"]) {
    const pool = new Pool({ connectionString: server.url, max: 1 });
    await pool.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${tables}`);
    await pool.end();
    const adapter = new PrismaPg({ connectionString: server.url, max: 10 }, { schema });
    clients.push(new PrismaClient({ adapter }));
  }
  const [hand, prisma] = clients;
  const manager = new PersistenceManager({ adapter: new PrismaAdapter({ prisma }) });
  try {
    return await measure(hand, manager);
  } finally {
    await manager.close();
    for (const client of clients) await client.$disconnect();
    await server.stop();
  }
}
