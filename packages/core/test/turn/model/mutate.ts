import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Rules } from "./scenario.js";
import type { StoreMutation } from "./world.js";

/** A change to the shipped source: in one file, each text exactly once there becomes another. */
export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Mutant {
  readonly name: string;
  /** The scenario that shows it. */
  readonly scenario: string;
  readonly patches?: readonly Patch[];
  readonly store?: StoreMutation;
}

const source = fileURLToPath(new URL("../../../src", import.meta.url));

/** Runs `work` with a copy of the shipped rules that a mutant has changed. */
export async function withMutant<T>(mutant: Mutant, work: (rules: Rules) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "waymark-mutant-"));
  try {
    for (const part of ["turn", "contract", "codec", "errors.ts"]) {
      cpSync(join(source, part), join(folder, part), { recursive: true });
    }
    mkdirSync(join(folder, "turn"), { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    for (const { file, from, to } of mutant.patches ?? []) {
      const text = readFileSync(join(folder, "turn", file), "utf8");
      const parts = text.split(from);
      if (parts.length !== 2)
        throw new Error(`${mutant.name}: "${from}" stands ${parts.length - 1} times in ${file}`);
      writeFileSync(join(folder, "turn", file), parts.join(to));
    }
    const { createOutbox } = await import(join(folder, "turn", "outbox.ts"));
    const { visibleRanges } = await import(join(folder, "turn", "visible.ts"));
    const { operationWindow } = await import(join(folder, "turn", "system.ts"));
    return await work({ createOutbox, visibleRanges, operationWindow, store: mutant.store ?? null });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
