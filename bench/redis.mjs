// Redis against the least that a turn needs there: one script by hand that compares a version, sets the state and pushes
// two messages. Both alternate in one run, on one server, each with a client of its own.
import { createHash } from "node:crypto";
import { PersistenceManager } from "@waymark/core";
import { RedisAdapter } from "@waymark/adapter-redis";
import { Redis } from "ioredis";
import { startServer } from "../scripts/servers.mjs";
import definition from "../scripts/servers/redis.mjs";
import { bookingSession, byManager, exchange } from "./session.mjs";
import { compare, each, row, warmUp } from "./stats.mjs";

const script = `
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return redis.error_reply('conflict') end
redis.call('RPUSH', KEYS[2], ARGV[3], ARGV[4])
redis.call('HSET', KEYS[1], 'version', version + 1, 'state', ARGV[2])
return version + 1`;

function byHand(redis, id) {
  const sha = createHash("sha1").update(script).digest("hex");
  const session = bookingSession(id);
  let version = 0;
  return async () => {
    session.data.count0++;
    const texts = [session, ...exchange].map((value) => JSON.stringify(value));
    await redis.evalsha(sha, 2, `hand:s:{${id}}`, `hand:m:{${id}}`, String(version), ...texts);
    version++;
  };
}

export async function benchRedis() {
  const server = await startServer(definition);
  if (typeof server === "string") {
    console.log(`MISSED redis: ${server}`);
    return false;
  }
  const clients = [new Redis(server.url), new Redis(server.url)];
  const manager = new PersistenceManager({ adapter: new RedisAdapter({ redis: clients[1] }) });
  try {
    await clients[0].script("LOAD", script);
    await warmUp(
      (id) => byHand(clients[0], id),
      (id) => byManager(manager, id),
    );
    const hand = byHand(clients[0], "s");
    const turn = byManager(manager, "s");
    await compare(hand, turn, { pairs: 2 });
    const early = await compare(hand, turn, { pairs: 200 });
    let kept = row("Redis against one script by hand, from turn 10", early, 1.2);
    const ids = Array.from({ length: 32 }, (_, index) => `c${index}`);
    const hands = each(
      ids.map((id) => byHand(clients[0], id)),
      20,
    );
    const turns = each(
      ids.map((id) => byManager(manager, id)),
      20,
    );
    await compare(hands, turns, { pairs: 5, rounds: 1 });
    const many = await compare(hands, turns, { pairs: 40, rounds: 1 });
    kept = row("32 sessions at once", many, 1 / 0.7) && kept;
    for (let done = 1010; done < 10_000; done++) await Promise.all([hand(), turn()]);
    return row("one session from turn 10,000", await compare(hand, turn, { pairs: 200 }), 1.2) && kept;
  } finally {
    await manager.close();
    for (const client of clients) client.disconnect();
    await server.stop();
  }
}
