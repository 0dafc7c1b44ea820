import { expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { openFile } from "./sqlite.js";

const said = (content: string) => ({ role: "user", content }) as const;

// A driver has one connection to a file, so a statement that is sent alone is part of whatever is open on it.
it.each([
  ["a state", true, [] as const],
  ["messages", true, [said("2")]],
  ["a new session", false, [] as const],
  ["a new session with messages", false, [said("1")]],
])(
  "%s: stored beside a transaction of the application that fails, it is not undone",
  async (_, isThere, messages) => {
    const store = await openFile();
    const prisma = store.client();
    const manager = new PersistenceManager({ adapter: store.connect({ prisma }) });
    const session = createSession<{ n: number }>({ id: "s", data: { n: 1 } });
    if (isThere) await manager.saveTurn({ session, messages: [said("1")] });
    session.data.n = 2;
    let saving: Promise<unknown> = Promise.resolve();
    const work = prisma.$transaction(async (tx) => {
      await tx.agentSession.create({ data: { id: "own", system: "" } });
      saving = manager.saveTurn({ session, messages });
      // A save that did not wait is through by then.
      for (let call = 0; call < 50; call++) await tx.agentSession.count();
      throw new Error("undone");
    });
    await expect(work).rejects.toThrow("undone");
    await saving;
    const elsewhere = new PersistenceManager({ adapter: store.connect() });
    expect((await elsewhere.loadSessionState("s"))?.data).toEqual({ n: 2 });
    const history = await elsewhere.loadSessionHistory("s");
    expect(history.length).toBe((isThere ? 1 : 0) + messages.length);
    expect(await store.client().agentSession.count()).toBe(1);
    await store.remove();
  },
);

it("what a transaction has not committed yet is not read", async () => {
  const store = await openFile();
  const prisma = store.client();
  const manager = new PersistenceManager({ adapter: store.connect({ prisma }) });
  await manager.saveTurn({ session: createSession({ id: "s" }), messages: [said("1")] });
  let reading: Promise<readonly unknown[]> = Promise.resolve([]);
  const work = prisma.$transaction(async (tx) => {
    await tx.agentMessage.deleteMany();
    reading = manager.loadSessionHistory("s");
    for (let call = 0; call < 50; call++) await tx.agentSession.count();
    throw new Error("undone");
  });
  await expect(work).rejects.toThrow("undone");
  expect(await reading).toHaveLength(1);
  await store.remove();
});
