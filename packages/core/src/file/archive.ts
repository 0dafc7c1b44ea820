import { join } from "node:path";
import type { Entry } from "../contract/row.js";
import { StorageError } from "../errors.js";
import { type Archive, isEntry, isListOf, isObject, parse } from "./change.js";
import {
  append,
  forAppending,
  forCreating,
  forReading,
  readAt,
  sizeOf,
  syncFile,
  withFile,
  withFileSync,
} from "./disk.js";
import { type Doing, damaged } from "./failure.js";
import { decodeFrame, encodeFrame, fileHeader } from "./frame.js";
import { uniqueName } from "./names.js";

// An archive keeps the messages of one life, in groups of ascending sequence: a record with the entries, then a record
// that is a node of an index over the groups. Each node names the one before it and one further back, at distances that
// grow, so that any sequence is found in a number of steps that grows with the logarithm of the history. Nodes are found
// from the newest, which the session's log names: what a crash or a late writer left between them is never looked at.

const groupBytes = 65_536;

/** A node of the index. */
interface Node {
  /** How many groups come before it. */
  readonly depth: number;
  readonly from: number;
  readonly to: number;
  /** Entries in this group and all before it. */
  readonly total: number;
  /** Where the entries stand. */
  readonly at: number;
  readonly end: number;
  readonly previous: Link | null;
  readonly jump: Link | null;
}

interface Link {
  readonly node: number;
  readonly depth: number;
  readonly from: number;
}

/** Entries with `from <= sequence <= to`, ascending. Throws `ENOENT` where the archive was replaced meanwhile. */
export function readArchive(
  folder: string,
  archive: Archive,
  from: number,
  to: number,
  doing: Doing,
): Entry[] {
  const first = Math.max(from, archive.floor + 1);
  if (first > Math.min(to, archive.to)) return [];
  const path = join(folder, archive.file);
  return withFileSync(path, forReading, (file) => {
    const groups: Entry[][] = [];
    let node: Node | null = findGroup(file, path, archive.node, to, doing);
    while (node !== null && node.to >= first) {
      const entries = readGroup(file, path, node, doing);
      groups.push(entries.filter(({ sequence }) => sequence >= first && sequence <= to));
      node = node.previous === null ? null : readNode(file, path, node.previous.node, doing);
    }
    return groups.toReversed().flat();
  });
}

/** How many entries the archive has above its floor, up to and including `to`. */
export function countArchive(folder: string, archive: Archive, to: number, doing: Doing): number {
  if (to >= archive.to) return archive.alive;
  const path = join(folder, archive.file);
  return withFileSync(path, forReading, (file) => {
    const upTo = (sequence: number): number => {
      const node = findGroup(file, path, archive.node, sequence, doing);
      if (node === null) return 0;
      const entries = readGroup(file, path, node, doing);
      return node.total - entries.filter((entry) => entry.sequence > sequence).length;
    };
    return Math.max(0, upTo(to) - upTo(archive.floor));
  });
}

/** The newest group that begins at or before `sequence`; null where all begin later. */
function findGroup(file: number, path: string, newest: number, sequence: number, doing: Doing): Node | null {
  let node = readNode(file, path, newest, doing);
  while (node.from > sequence) {
    const link: Link | null = node.jump !== null && node.jump.from > sequence ? node.jump : node.previous;
    if (link === null) return null;
    node = readNode(file, path, link.node, doing);
  }
  return node;
}

const nodeBytes = 512;

function readNode(file: number, path: string, at: number, doing: Doing): Node {
  const frame = decodeFrame(readAt(file, at, nodeBytes), 0, at);
  const node = frame === null ? undefined : parse(frame.json.toString());
  if (!isNode(node)) throw damaged(path, at, "the index of the messages is damaged", doing);
  return node;
}

function readGroup(file: number, path: string, { at, end }: Node, doing: Doing): readonly Entry[] {
  const frame = decodeFrame(readAt(file, at, end - at), 0, at);
  const entries = frame === null ? undefined : parse(frame.json.toString());
  if (!isListOf(entries, isEntry)) throw damaged(path, at, "a group of messages is damaged", doing);
  return entries;
}

/**
 * Adds entries, ascending and all above the archive's greatest sequence, durably, to an archive or to a new one. What it
 * returns becomes true with the record that names it.
 */
export async function extendArchive(
  folder: string,
  log: string,
  archive: Archive | null,
  entries: readonly Entry[],
  doing: Doing,
): Promise<Archive> {
  const name = archive?.file ?? `${uniqueName()}.messages`;
  const path = join(folder, name);
  return withFile(path, archive === null ? forCreating : forAppending, async (file) => {
    if (archive === null) append(file, fileHeader);
    const start = sizeOf(file);
    const buffers: Buffer[] = [];
    let position = start;
    const add = (previous: number, json: string): Link["node"] => {
      const frame = encodeFrame(position, previous, json);
      const at = position;
      buffers.push(frame);
      position += frame.length;
      return at;
    };
    const known = new Map<number, Node>();
    const nodeAt = (at: number): Node => known.get(at) ?? readNode(file, path, at, doing);
    let newest = archive === null ? null : archive.node;
    for (const group of groupsOf(entries)) {
      const at = add(newest ?? 0, group.json);
      const node = makeNode(newest, nodeAt, group, at, position);
      newest = add(newest ?? 0, JSON.stringify(node));
      known.set(newest, node);
    }
    const bytes = Buffer.concat(buffers);
    append(file, bytes);
    if (sizeOf(file) !== start + bytes.length) throw disturbed(doing);
    await syncFile(file);
    return {
      log,
      file: name,
      node: newest ?? 0,
      from: archive?.from ?? entries[0]?.sequence ?? 0,
      to: entries.at(-1)?.sequence ?? archive?.to ?? 0,
      floor: archive?.floor ?? 0,
      alive: (archive?.alive ?? 0) + entries.length,
    };
  });
}

interface Group {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly json: string;
}

function makeNode(
  newest: number | null,
  nodeAt: (at: number) => Node,
  group: Group,
  at: number,
  end: number,
): Node {
  const { from, to, count } = group;
  if (newest === null) return { depth: 0, from, to, total: count, at, end, previous: null, jump: null };
  const before = nodeAt(newest);
  const previous: Link = { node: newest, depth: before.depth, from: before.from };
  // Two jumps of the same length in a row are joined into one of twice the length.
  const further = before.jump === null ? null : nodeAt(before.jump.node).jump;
  const joins =
    before.jump !== null &&
    further !== null &&
    before.depth - before.jump.depth === before.jump.depth - further.depth;
  return {
    depth: before.depth + 1,
    from,
    to,
    total: before.total + count,
    at,
    end,
    previous,
    jump: joins ? further : previous,
  };
}

function groupsOf(entries: readonly Entry[]): Group[] {
  const groups: Group[] = [];
  let texts: string[] = [];
  let bytes = 0;
  let from = 0;
  for (const [index, entry] of entries.entries()) {
    if (texts.length === 0) from = entry.sequence;
    const text = JSON.stringify(entry);
    texts.push(text);
    bytes += text.length;
    if (bytes < groupBytes && index < entries.length - 1) continue;
    groups.push({ from, to: entry.sequence, count: texts.length, json: `[${texts.join(",")}]` });
    texts = [];
    bytes = 0;
  }
  return groups;
}

function disturbed(doing: Doing): StorageError {
  return new StorageError(
    "STORAGE_LOCKED",
    `${doing.operation}: another process wrote at the same time`,
    doing,
  );
}

function isNode(value: unknown): value is Node {
  return (
    isObject(value) &&
    ["depth", "from", "to", "total", "at", "end"].every((name) => typeof value[name] === "number") &&
    (value["previous"] === null || isLink(value["previous"])) &&
    (value["jump"] === null || isLink(value["jump"]))
  );
}

function isLink(value: unknown): value is Link {
  return isObject(value) && ["node", "depth", "from"].every((name) => typeof value[name] === "number");
}
