export { PrismaAdapter, type PrismaAdapterOptions } from "./adapter.js";
export type { PrismaClientLike } from "./client.js";
export type { MessageField, NameOptions, RecordField, SessionField } from "./schema.js";
