// Makes an adapter in another process, which runs the built package.
import { RedisAdapter } from "@waymark/adapter-redis";
import { Cluster, Redis } from "ioredis";

export default function connect({ server, keyPrefix }) {
  const redis =
    server === "Redis"
      ? new Redis(process.env.WAYMARK_TEST_REDIS)
      : new Cluster(process.env.WAYMARK_TEST_REDIS_CLUSTER.split(",").map((address) => `redis://${address}`));
  return new RedisAdapter({ redis, keyPrefix });
}
