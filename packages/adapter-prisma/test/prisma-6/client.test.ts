import { expect, it } from "@jest/globals";
import { PrismaAdapter, type PrismaClientLike } from "../../src/index.js";
import {
  type MySqlClient,
  type OwnClient,
  PostgreSqlClient,
  PrismaPg,
  type SqliteClient,
} from "./clients.mjs";

it("a client fits as it is, of either generator, and so does the client of a transaction", async () => {
  const fits = (client: PostgreSqlClient | OwnClient | MySqlClient | SqliteClient): PrismaClientLike =>
    client;
  const fitsInside = (client: PostgreSqlClient | SqliteClient) =>
    client instanceof PostgreSqlClient
      ? client.$transaction(async (tx) => new PrismaAdapter({ prisma: tx }))
      : client.$transaction(async (tx) => new PrismaAdapter({ prisma: tx }));
  const client = new PostgreSqlClient({ adapter: new PrismaPg({}) });
  expect(fits(client)).toBe(client);
  expect(fitsInside).toBeDefined();
  expect(new PrismaAdapter({ prisma: client }).provisional).toBe(false);
});
