import { createSession } from "@waymark/core";

/** A session of 20 fields as an application has it, with one route and step. */
export function bookingSession(id) {
  const data = {};
  for (let i = 0; i < 10; i++) data[`text${i}`] = `the answer to question ${i} of the form`;
  for (let i = 0; i < 6; i++) data[`count${i}`] = i * 7;
  for (let i = 0; i < 2; i++) data[`flag${i}`] = i === 0;
  for (let i = 0; i < 2; i++) data[`time${i}`] = new Date(1.7e12 + i);
  const session = createSession({ id, data });
  session.currentRoute = { id: "booking", title: "Book a table" };
  session.currentStep = { id: "details", routeId: "booking" };
  session.routeHistory.push({ routeId: "booking", enteredAt: new Date(1.7e12), completed: false });
  return session;
}

/** A user's message of 200 bytes and an assistant's of 600. */
export const exchange = [
  { role: "user", content: "u".repeat(200) },
  { role: "assistant", content: "a".repeat(600) },
];

/** What is measured: a turn of a session through everything that an application uses. */
export function byManager(manager, id) {
  const session = bookingSession(id);
  return async () => {
    session.data.count0++;
    await manager.saveTurn({ session, messages: exchange });
  };
}
