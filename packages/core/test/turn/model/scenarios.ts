import type { Scenario } from "./scenario.js";

const none = { replies: 0, crashes: 0 };

/** Small enough for every order of their calls. */
export const small: readonly Scenario[] = [
  {
    name: "two writers with two turns",
    faults: none,
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.turn("a2");
        await p.flush();
      },
      b: async (p) => {
        await p.turn("b1");
        await p.turn("b2");
        await p.flush();
      },
    },
  },
  {
    name: "a writer, an appender and a reader",
    faults: none,
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.turn("a2");
      },
      b: async (p) => {
        await p.append("b1");
        await p.append("b2");
      },
      reader: (p) => p.load(),
    },
  },
  {
    name: "a writer and a reader, with faults",
    faults: { replies: 1, crashes: 0 },
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.again("a1");
        await p.turn("a2");
      },
      reader: (p) => p.load(),
    },
  },
  {
    name: "a writer and an appender, each call of which may fail",
    faults: { replies: 1, crashes: 0 },
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.append("a2");
      },
      b: async (p) => {
        await p.append("b1");
        await p.again("b1");
      },
    },
  },
  {
    name: "a lost answer and many others meanwhile",
    faults: { replies: 1, crashes: 0 },
    processes: {
      a: (p) => p.append("a1"),
      b: async (p) => {
        await p.append("b1");
        await p.append("b2");
        await p.append("b3");
      },
    },
  },
  {
    name: "a writer, a delete and a new creation",
    faults: none,
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.flush();
      },
      deleter: (p) => p.delete(),
      c: (p) => p.create("c1"),
    },
  },
  {
    name: "an appender, a delete and a new life with two turns",
    faults: none,
    processes: {
      a: async (p) => {
        await p.append("a1");
        await p.append("a2");
        await p.flush();
      },
      deleter: async (p) => {
        await p.delete();
        await p.create("d1");
        await p.append("d2");
        await p.flush();
      },
    },
  },
  {
    name: "two deletes and a new life",
    faults: none,
    processes: {
      deleter: (p) => p.delete(),
      other: async (p) => {
        await p.delete();
        await p.create("c1");
        await p.append("c2");
        await p.flush();
      },
    },
  },
  {
    name: "a reader, a delete and a new life",
    faults: none,
    processes: {
      reader: (p) => p.load(),
      deleter: async (p) => {
        await p.delete();
        await p.create("d1");
      },
    },
  },
  {
    name: "a delete that crashes",
    faults: { replies: 0, crashes: 1 },
    processes: { deleter: (p) => p.delete() },
  },
  {
    name: "a writer that crashes, a delete and a new creation",
    faults: { replies: 0, crashes: 1 },
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.append("a2");
        await p.flush();
      },
      deleter: async (p) => {
        await p.delete();
        await p.create("d1");
        await p.flush();
      },
    },
  },
  {
    name: "a turn that meets a prune",
    faults: none,
    processes: {
      a: async (p) => {
        await p.turn("a1");
        await p.flush();
      },
      pruner: (p) => p.prune(),
    },
  },
  {
    name: "a rewind, an append and a reader",
    faults: none,
    processes: {
      a: async (p) => {
        await p.rewind("a1");
        await p.turn("a2");
      },
      b: (p) => p.append("b1"),
      reader: (p) => p.load(),
    },
  },
  {
    name: "two creations with faults",
    isEmpty: true,
    faults: { replies: 1, crashes: 0 },
    processes: {
      a: async (p) => {
        await p.create("a1");
        await p.again("a1");
        await p.append("a2");
      },
      b: async (p) => {
        await p.create("b1");
      },
    },
  },
  {
    name: "a delete with faults, and an append",
    faults: { replies: 1, crashes: 0 },
    processes: {
      deleter: async (p) => {
        await p.delete();
        await p.create("d1");
      },
      a: async (p) => {
        await p.append("a1");
        await p.flush();
      },
    },
  },
];

/** Too large for every order: generated schedules. */
export const large: Scenario = {
  name: "two writers with two turns each, a reader, a delete, a prune and a new life",
  faults: { replies: 2, crashes: 1 },
  processes: {
    a: async (p) => {
      await p.turn("a1");
      await p.again("a1");
      await p.turn("a2");
      await p.append("a3");
      await p.flush();
    },
    b: async (p) => {
      await p.append("b1");
      await p.turn("b2");
      await p.again("b2");
      await p.rewind("b3");
      await p.flush();
    },
    reader: async (p) => {
      await p.load();
      await p.load();
    },
    deleter: async (p) => {
      await p.delete();
      await p.create("d1");
      await p.turn("d2");
      await p.flush();
    },
    pruner: (p) => p.prune(),
  },
};
