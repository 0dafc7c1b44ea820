// One agent for all conversations: it holds none itself.
import { PrismaAdapter } from "@waymark/adapter-prisma";
import { Agent } from "@waymark/core";
import { z } from "zod";
import { provider } from "./model.mjs";

/** @param prisma the shop's client, which stays the caller's to disconnect. */
export function shopAgent(prisma) {
  return new Agent({
    name: "Shop",
    instructions: "You take orders for a small kitchen. Be brief.",
    provider,
    schema: {
      dish: z.enum(["pizza", "soup", "salad"]),
      count: z.number().int().min(1).max(9, "we have 9 boxes"),
      name: z.string(),
    },
    routes: [
      {
        id: "order",
        title: "Order a dish",
        steps: [
          { id: "dish", prompt: "Pizza, soup or salad?", collect: ["dish"] },
          { id: "count", prompt: "How many?", collect: ["count"] },
          { id: "name", prompt: "What is your name?", collect: ["name"] },
        ],
      },
    ],
    persistence: { adapter: new PrismaAdapter({ prisma }) },
  });
}
