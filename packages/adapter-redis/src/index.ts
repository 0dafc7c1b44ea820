export { RedisAdapter, type RedisAdapterOptions } from "./adapter.js";
export type { RedisClient } from "./client.js";
