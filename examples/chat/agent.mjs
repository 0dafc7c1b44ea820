// The agent: which fields it collects, and the way through the conversation.
import { Agent } from "@waymark/core";
import { z } from "zod";
import { ruleModel } from "./model.mjs";

const days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const schema = {
  guests: z.number().int().min(1, "at least one guest has to come").max(20, "we have 20 seats"),
  phone: z.string().min(6, "a phone number has at least 6 digits"),
  day: z.enum(days),
  time: z.string().regex(/^(1[7-9]|2[0-2]):\d\d$/, "we are open from 17:00 to 22:59"),
  name: z.string().min(2, "a name has at least 2 letters"),
  email: z.email("this is not an e-mail address"),
};

/** @param provider any model; the default needs no network. */
export function bookingAgent({ provider = ruleModel } = {}) {
  return new Agent({
    name: "Chez Waymark",
    instructions: "You take bookings for a small restaurant. Be brief.",
    provider,
    schema,
    routes: [
      {
        id: "booking",
        title: "Book a table",
        steps: [
          {
            id: "guests",
            prompt: "How many people will come?",
            collect: ["guests"],
            next: [{ when: ({ data }) => (data.guests ?? 0) > 8, to: "phone" }, { to: "when" }],
          },
          { id: "phone", prompt: "For so many we call back. What is your phone number?", collect: ["phone"] },
          { id: "when", prompt: "On which day, and at what time?", collect: ["day", "time"] },
          { id: "name", prompt: "What name may I write down?", collect: ["name"] },
          { id: "email", prompt: "Where may I send the confirmation (e-mail)?", collect: ["email"] },
        ],
      },
    ],
  });
}
