import { type Harness, type KitOptions, testAdapter } from "../../src/index.js";

export interface Result {
  /** Names of the groups that it is in, and its own. */
  readonly path: readonly string[];
  readonly error: Error | null;
  readonly ms: number;
}

interface Group {
  readonly name: string;
  readonly before: (() => Promise<void>)[];
  readonly after: (() => Promise<void>)[];
  readonly children: (Group | { readonly name: string; readonly body: () => Promise<void> })[];
}

export interface RunOptions extends KitOptions {
  /** Stops at the first test that fails. */
  readonly isBrief?: boolean;
  readonly only?: RegExp;
  /** Names the tests without running them. */
  readonly isList?: boolean;
}

/** The smallest runner that the kit can run in. */
export async function runKit(harness: Harness, options: RunOptions = {}): Promise<Result[]> {
  const { isBrief = false, only, isList = false, ...kit } = options;
  const root: Group = { name: "", before: [], after: [], children: [] };
  let current = root;
  testAdapter(
    harness,
    {
      describe: (name, body) => {
        const outer = current;
        current = { name, before: [], after: [], children: [] };
        outer.children.push(current);
        body();
        current = outer;
      },
      it: (name, body) => void current.children.push({ name, body }),
      beforeAll: (body) => void current.before.push(body),
      afterAll: (body) => void current.after.push(body),
    },
    { note: () => {}, ...kit },
  );

  const results: Result[] = [];
  const isOver = () => isBrief && results.some(({ error }) => error !== null);

  function isWanted(child: Group["children"][number]): boolean {
    if ("body" in child) return only === undefined || only.test(child.name);
    return child.children.some(isWanted);
  }

  async function runGroup(group: Group, path: readonly string[]): Promise<void> {
    const wanted = group.children.filter(isWanted);
    if (isOver() || wanted.length === 0) return;
    if (!isList) for (const before of group.before) await before();
    for (const child of wanted) {
      if (isOver()) break;
      if (!("body" in child)) {
        await runGroup(child, [...path, child.name]);
        continue;
      }
      const started = performance.now();
      const error = isList
        ? null
        : await child.body().then(
            () => null,
            (thrown: Error) => thrown,
          );
      results.push({ path: [...path, child.name], error, ms: performance.now() - started });
    }
    if (!isList) for (const after of group.after) await after().catch(() => {});
  }

  await runGroup(root, []);
  return results;
}
