import { describe, expect, test } from "@jest/globals";
import { folderName, idOfFolder } from "../../src/file/names.js";

const ids = [
  "a",
  "A",
  "é",
  "e\u0301",
  "..",
  ".",
  "a/b",
  "a\\b",
  "/etc/passwd",
  "con",
  "nul",
  "COM1",
  "~",
  "-rf",
  "=",
  "=41",
  " ",
  "s-a",
  "b-a",
  "a.lock",
  "a\nb",
  "😀",
  "x".repeat(128),
  "X".repeat(128),
  "é".repeat(64),
  "😀".repeat(32),
  "A".repeat(66),
  "A".repeat(67),
];

describe("the folder of a session", () => {
  test("is different for each id, also where letters are folded", () => {
    const names = ids.map((id) => folderName(id).normalize("NFC").toLowerCase());
    expect(new Set(names).size).toBe(ids.length);
  });

  test.each(ids)("tells the id again: %j", (id) => {
    expect(idOfFolder(folderName(id))).toBe(id);
  });

  test.each(ids)("is a plain name that leaves room for an ending: %j", (id) => {
    expect(folderName(id)).toMatch(/^[sb]-[a-z0-9_=-]{1,205}$/);
  });

  test.each(["", "x", "s-", "b-", "s-A", "s-=4", "s-=61", "b-mfra", "s-a.lock", ".abc.new", "b-a!"])(
    "has a name that no id gives otherwise: %j",
    (name) => {
      expect(idOfFolder(name)).toBeNull();
    },
  );

  test("is right for ids of every length and kind of byte", () => {
    for (let length = 1; length <= 128; length++) {
      for (const letter of ["a", "Z", "\u0001"]) {
        const id = letter.repeat(length);
        expect(idOfFolder(folderName(id))).toBe(id);
      }
    }
  });
});
