import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type Json, decodeValue, encodeValue } from "@waymark/core/adapter";
import { hostileTexts, makeJson, makeRecord, makeText, makeValue, numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import { appendTo, said, turnOn } from "../turn-client.js";

const context = { operation: "adapter-testkit" };

/** A value as core hands it to an adapter. Null: core refuses it, as too deep. */
function encoded(value: unknown): Json | undefined {
  try {
    return encodeValue(value, context);
  } catch {
    return undefined;
  }
}

const cases: readonly Case[] = [
  {
    promise: "P6",
    name: "generated states and messages come back equal",
    todo: "Some value is changed on its way: look for a reviver, a column type, a trim, or a merge into what was stored.",
    timeoutMs: 120_000,
    async run(world) {
      const { random } = world;
      const client = world.client();
      for (let session = 0; session < 4 * world.scale; session++) {
        const id = world.newId();
        let { version } = await client.create(id);
        const said: string[] = [];
        const bodies: Json[] = [];
        for (let turn = 0; turn < 12; turn++) {
          const data = makeRecord(random, () => makeValue(random));
          const body = makeValue(random);
          const [state, stored] = [encoded({ data }), encoded({ event: body })];
          if (state === undefined || stored === undefined) continue;
          const message = {
            userId: null,
            role: "user",
            content: makeText(random),
            createdAt: random.int(0, 4e12),
            body: stored,
          };
          ({ version } = await client.stored(turnOn(id, version, { state, messages: [message] })));
          said.push(message.content);
          bodies.push(stored);
          const { row, entries } = await world.client(world.other).load(id);
          assertSame(row.state, state, `the state of turn ${turn}`);
          const read = encodeValue(decodeValue(row.state, context), context);
          assertSame(read, state, `the state of turn ${turn}, decoded and encoded again`);
          assertSame(
            entries.map(({ content }) => content),
            said,
            "the texts of messages",
          );
          assertSame(
            entries.map(({ body }) => body),
            bodies,
            "the contents of messages",
          );
        }
      }
    },
  },
  {
    promise: "P6",
    name: "every text of the list comes back as it was, wherever it stands",
    todo: "A text is data: no operator, no pattern, no date, no number; no normalization, no trim, no collation.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const list = { texts: hostileTexts, nested: hostileTexts.map((text) => ({ text })) };
      const messages = hostileTexts.map((text) => said(text, { role: "user", userId: text, body: { text } }));
      const { version } = await client.create(id, { state: list, messages });
      const { row, entries } = await world.client(world.other).load(id);
      assertSame(row.state, list, "the state");
      assertSame(
        entries.map(({ content, userId, body }) => ({ content, userId, body })),
        messages.map(({ content, userId, body }) => ({ content, userId, body })),
        "the messages",
      );
      let latest = version;
      for (const text of hostileTexts) {
        const set = { userId: text, agentName: text, route: text, step: text };
        ({ version: latest } = await client.stored(turnOn(id, latest, { state: { text }, set })));
        const { row } = await world.client(world.other).load(id);
        const { userId, agentName, route, step } = row;
        assertSame({ userId, agentName, route, step }, set, "the fields of a row");
      }
    },
  },
  {
    promise: "P6",
    name: "keys of a prototype, of an operator and of a path are data",
    todo: "Own keys only: assign nothing by name to an object that has a prototype, and read no dot or dollar as a path.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const keys = [
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "toJSON",
        "then",
        "length",
        "$where",
        "$set",
        "a.b",
        ".",
        "",
        " ",
        "0",
        "-1",
        "~",
        "~k",
        "_id",
        "id",
        "null",
      ];
      const data = {};
      for (const key of keys)
        Object.defineProperty(data, key, {
          value: { [`in ${key}`]: key },
          writable: true,
          enumerable: true,
          configurable: true,
        });
      const state = encodeValue({ data }, context);
      await client.create(id, { state, messages: [said("x", { body: state })] });
      const { row, entries } = await world.client(world.other).load(id);
      assertSame(row.state, state, "the state");
      assertSame(entries[0]?.body, state, "the message");
      assert.ok(isDeepStrictEqual(decodeValue(row.state, context), { data }), "the decoded state");
      assert.equal(
        Reflect.get({}, "in __proto__"),
        undefined,
        "a key has reached the prototype of all objects",
      );
    },
  },
  {
    promise: "P6",
    name: "a mebibyte of text in the state and in a message comes back whole",
    todo: "Look for a column of 64 KiB, a body limit of a client, or text cut at a byte inside a character.",
    async run(world) {
      const client = world.client();
      const mebibyte = 1_048_576;
      const size = Math.min(mebibyte, Math.floor(world.adapter.limits.commitBytes / 4));
      const texts = [
        "x".repeat(size),
        "é😀".repeat(Math.floor(size / 6)),
        '\\"\n'.repeat(Math.floor(size / 6)),
      ];
      for (const text of texts) {
        const id = world.newId();
        const { version } = await client.create(id, {
          state: { text },
          messages: [said(text, { body: { text: "" } })],
        });
        await client.stored(appendTo(id, said("", { body: text })));
        await client.stored(turnOn(id, version, { state: { text: "" } }));
        const { row, entries } = await world.client(world.other).load(id);
        const seen = [entries[0]?.content === text, entries[1]?.body === text];
        assert.deepEqual(seen, [true, true], `text of ${text.length} units in a message`);
        assertSame(row.state, { text: "" }, "a state that was large before");
      }
    },
  },
  {
    promise: "P6",
    name: "values as deep and as wide as core lets through come back equal",
    todo: "Core hands over up to 64 levels, and any number of keys.",
    async run(world) {
      const client = world.client();
      let deep: Json = "the bottom";
      for (let level = 0; level < 60; level++) deep = level % 2 === 0 ? [deep] : { level: deep };
      const wide = Object.fromEntries(numbers(1, 3000).map((n) => [`key ${n}`, n]));
      for (const value of [
        deep,
        wide,
        { long: { ["k".repeat(5000)]: 1 } },
        numbers(1, 5000),
        { empty: [{}, [], "", null] },
      ]) {
        const id = world.newId();
        await client.create(id, { state: { value }, messages: [said("x", { body: { value } })] });
        const { row, entries } = await world.client(world.other).load(id);
        assertSame(row.state, { value }, "the state");
        assertSame(entries[0]?.body, { value }, "the message");
      }
    },
  },
  {
    promise: "P6",
    name: "a state has exactly the keys of its last turn",
    todo: "Replace the state: a partial update that merges brings cleared data back.",
    async run(world) {
      const { random } = world;
      const client = world.client();
      const id = world.newId();
      let { version } = await client.create(id);
      for (let turn = 0; turn < 30; turn++) {
        const state = {
          data: makeJson(random),
          [`key${random.int(0, 3)}`]: random.pick([null, {}, [], { a: null }, turn]),
          turn,
        };
        ({ version } = await client.stored(turnOn(id, version, { state })));
        assertSame((await world.client(world.other).load(id)).row.state, state, `the state of turn ${turn}`);
      }
    },
  },
];

export const values: Level = { name: "values", runs: "each path", cases: () => cases };
