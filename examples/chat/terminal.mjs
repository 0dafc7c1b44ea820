// The chat in a terminal. Its session has an id and the agent no database, so it is kept as files.
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { bookingAgent } from "./agent.mjs";

const help =
  "Commands: /data shows what is stored, /new begins again, /quit (or Ctrl+D) ends; nothing is lost by it.";

export async function chat() {
  const session = bookingAgent().session("table-booking");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl+C and Ctrl+D close the terminal, and a question that is waiting would wait for ever.
  const closed = new Promise((resolve) => terminal.once("close", () => resolve(null)));
  const ask = (prompt) => Promise.race([terminal.question(prompt).catch(() => null), closed]);

  console.log("Chez Waymark takes bookings. Every turn is stored before you see its answer.");
  console.log(
    `The session is kept in ${join(process.env.WAYMARK_HOME ?? join(homedir(), ".waymark"), "sessions")}`,
  );
  console.log(help);
  await resume(session, ask);

  for (;;) {
    const text = await ask("\nyou   > ");
    if (text === null || text.trim() === "/quit") break;
    if (text.trim() === "") continue;
    if (text.trim() === "/data") await show(session);
    else if (text.trim() === "/new") await begin(session);
    else await say(session, text);
  }
  terminal.close();
  console.log("\nSee you. `npm start` goes on from here.");
}

/** Offers what an earlier process left. */
async function resume(session, ask) {
  const messages = await session.messages({ limit: 4 });
  if (messages.length === 0) return begin(session);
  console.log("\nYou were here before. The last that was said:\n");
  for (const { role, content } of messages)
    console.log(`${role === "user" ? "you   " : "waiter"}> ${content}`);
  await show(session);
  const answer = await ask("\nGo on with it? [Y/n] ");
  if (answer?.trim().toLowerCase().startsWith("n")) await begin(session);
}

async function begin(session) {
  await session.delete();
  console.log("\nwaiter> Good evening! A table for you? Tell me anything: how many, when, your name.");
}

async function say(session, text) {
  try {
    const { message } = await session.chat(text);
    console.log(`waiter> ${message}`);
  } catch (error) {
    console.log(`(${error.code ?? error.name}) ${error.message}\nNothing was stored; say it again.`);
  }
}

async function show(session) {
  const { data, currentStep, version = "none" } = await session.state();
  const known = Object.entries(data).map(([name, value]) => `${name} = ${value}`);
  console.log(`\nstored: ${known.join(", ") || "nothing yet"}`);
  console.log(
    `        ${currentStep ? `waiting for ${currentStep.id}` : "no question open"}, version ${version.replace(/^.*\./, "")}`,
  );
}
