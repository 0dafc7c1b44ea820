// One agent for all users and all sessions: it holds no conversation itself.
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { Agent } from "@waymark/core";
import { z } from "zod";
import { provider } from "./model.mjs";

/** @param pool a `Pool` of `pg`, which stays the caller's to close. */
export function bookingAgent(pool) {
  return new Agent({
    name: "Bookings",
    instructions: "You take bookings for a small restaurant. Be brief.",
    provider,
    schema: {
      guests: z.number().int().min(1).max(20, "we have 20 seats"),
      day: z.enum(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]),
      name: z.string(),
    },
    routes: [
      {
        id: "booking",
        title: "Book a table",
        steps: [
          { id: "guests", prompt: "How many people will come?", collect: ["guests"] },
          { id: "day", prompt: "On which day?", collect: ["day"] },
          { id: "name", prompt: "What name may I write down?", collect: ["name"] },
        ],
      },
    ],
    persistence: { adapter: new PostgreSQLAdapter({ client: pool }) },
  });
}
