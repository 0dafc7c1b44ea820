// Kills a process in the middle of a turn and shows that nothing it acknowledged is lost, doubled or half there.
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { bookingAgent } from "./agent.mjs";
import { lines } from "./script.mjs";
import { summary } from "./summary.mjs";

const visitor = fileURLToPath(new URL("visitor.mjs", import.meta.url));

/** Plays it once; resolves to whether everything is as it has to be. */
export async function prove() {
  const isOwnFolder = process.env.WAYMARK_HOME === undefined;
  const home = process.env.WAYMARK_HOME ?? mkdtempSync(join(tmpdir(), "waymark-chat-"));
  process.env.WAYMARK_HOME = home;
  const id = `written-conversation-${process.pid}-${Date.now().toString(36)}`;
  const session = bookingAgent().session(id);
  try {
    return await play(id, session, home);
  } finally {
    await session.delete();
    if (isOwnFolder) {
      rmSync(home, { recursive: true, force: true });
      delete process.env.WAYMARK_HOME;
    }
  }
}

async function play(id, session, home) {
  console.log("A conversation that survives SIGKILL");
  console.log(
    "\nThis is no terminal, so a written conversation is played, and what is piped in is not read.",
  );
  console.log("In a terminal, `npm start` opens the chat itself.");

  // Not the first, whose time says how long a save takes here, nor the last two: the process has to be at work.
  const victim = 1 + Math.floor(Math.random() * (lines.length - 3));
  console.log(
    `\n1. A process talks. While it stores turn ${victim + 1} it will be killed, at a random instant.`,
  );
  console.log(`   Its session is kept as files in ${join(home, "sessions")}`);
  console.log("   (A version counts states: a turn that only adds messages does not move it.)\n");
  const first = await talk(id, victim);
  const acknowledged = first.turns.length;
  const isTold = acknowledged > victim;
  console.log(`   visitor> ${lines[acknowledged]}`);
  console.log(
    `   SIGKILL, ${first.killedAfterMs.toFixed(2)} ms after the model had answered turn ${victim + 1}`,
  );
  console.log(`   (that turn had ${isTold ? "just" : "not yet"} been acknowledged).`);

  const left = await read(session);
  const storedTurns = left.texts.length / 2;
  const cut =
    storedTurns > acknowledged
      ? "there as a whole: it was stored, and the process died before it could say so"
      : "not there at all: the visitor says it again";
  console.log("\n2. What the killed process left, read by another one.\n");
  table([
    ["", "last acknowledged", "stored"],
    ...["messages", "version", "position"].map((key) => [
      key,
      first.turns.at(-1)?.[key] ?? "none",
      left.summary[key],
    ]),
    ...fieldRows(first.turns.at(-1)?.data ?? {}, left.summary.data),
  ]);
  console.log(`\n   The turn that was cut, "${lines[acknowledged]}", is\n   ${cut}.`);

  console.log("\n3. A new process goes on with the same session.\n");
  const second = await talk(id);
  const end = await read(session);

  console.log("\n4. The end, beside the same conversation without a kill.\n");
  const control = await uninterrupted();
  table([
    ["", "killed and resumed", "never killed"],
    ...["messages", "position"].map((key) => [key, end.summary[key], control.summary[key]]),
    ...fieldRows(end.summary.data, control.summary.data),
  ]);
  console.log("");
  return verify({ first, left, storedTurns, second, end, control });
}

/** Runs the visitor's process; with `victim`, kills it at a random instant after the model has answered that turn. */
async function talk(id, victim) {
  const child = fork(visitor, [id], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const turns = [];
  const durations = [];
  let answeredAt = 0;
  let killedAfterMs = 0;
  let killed = false;
  child.on("message", ({ event, turn, message, ...state }) => {
    if (event === "answered") {
      answeredAt = performance.now();
      if (turn !== victim || killed) return;
      killed = true;
      // A part of the time that a save took so far, or a little more: in the middle of it, or just after.
      const wait = Math.random() * 1.2 * Math.min(...durations);
      while (performance.now() - answeredAt < wait);
      child.kill("SIGKILL");
      killedAfterMs = performance.now() - answeredAt;
    } else {
      durations.push(performance.now() - answeredAt);
      turns.push({ turn, message, ...state });
      console.log(`   visitor> ${lines[turn]}`);
      console.log(
        `   waiter > ${message}   [stored: ${state.messages} messages, version ${short(state.version)}]`,
      );
      if (victim === undefined && turn === lines.length - 1) child.disconnect();
    }
  });
  // What the process said before its end may arrive after it.
  const disconnected = new Promise((resolve) => child.once("disconnect", resolve));
  const { code, signal } = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  await disconnected;
  if (victim === undefined ? code !== 0 : signal !== "SIGKILL") {
    throw new Error(`the visitor's process ended with ${signal ?? `code ${code}`}`);
  }
  return { turns, killedAfterMs };
}

async function read(session) {
  const messages = await session.messages({ limit: 1000 });
  return {
    summary: summary(await session.state(), messages.length),
    texts: messages.map(({ content }) => content),
    sequences: messages.map(({ sequence }) => sequence),
  };
}

async function uninterrupted() {
  const session = bookingAgent().session();
  for (const line of lines) await session.chat(line);
  return read(session);
}

function verify({ first, left, storedTurns, second, end, control }) {
  const acknowledged = first.turns.length;
  const spoken = (turns) => turns.flatMap(({ turn, message }) => [lines[turn], message]);
  const checks = [
    [
      "every turn that was acknowledged before the kill is there, once and in order",
      () => isDeepStrictEqual(left.texts.slice(0, 2 * acknowledged), spoken(first.turns)),
    ],
    [
      "the turn that was cut is there as a whole or not at all",
      () =>
        (storedTurns === acknowledged || storedTurns === acknowledged + 1) &&
        isDeepStrictEqual(left.texts, control.texts.slice(0, 2 * storedTurns)),
    ],
    [
      "state and messages are of the same turn",
      () =>
        storedTurns !== acknowledged || isDeepStrictEqual(left.summary.data, first.turns.at(-1)?.data ?? {}),
    ],
    [
      "the new process went on with the first turn that was not stored",
      () =>
        storedTurns === lines.length ? second.turns.length === 0 : second.turns[0]?.turn === storedTurns,
    ],
    [
      "the messages are numbered without a gap",
      () =>
        isDeepStrictEqual(
          end.sequences,
          end.sequences.map((_, index) => index + 1),
        ),
    ],
    [
      "the whole conversation is the same as without a kill",
      () => isDeepStrictEqual(end.texts, control.texts),
    ],
    [
      "so are the collected data and the position",
      () =>
        isDeepStrictEqual(end.summary.data, control.summary.data) &&
        end.summary.position === control.summary.position,
    ],
  ];
  let isRight = true;
  for (const [name, check] of checks) {
    const holds = check();
    isRight &&= holds;
    console.log(`   ${holds ? "ok    " : "WRONG "} ${name}`);
  }
  return isRight;
}

function fieldRows(left, right) {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].map((name) => [name, left[name] ?? "", right[name] ?? ""]);
}

/** The part of a version that counts; the part before it names the life of the session. */
const short = (version) => String(version).replace(/^.*\./, "");

function table(rows) {
  const texts = rows.map(([name, ...cells]) => [
    name,
    ...cells.map((cell) => (name === "version" ? short(cell) : String(cell))),
  ]);
  const widths = [0, 1].map((column) => Math.max(...texts.map((row) => row[column].length)));
  for (const [name, left, right] of texts) {
    console.log(`   ${name.padEnd(widths[0])}   ${left.padEnd(widths[1])}   ${right}`.trimEnd());
  }
}
