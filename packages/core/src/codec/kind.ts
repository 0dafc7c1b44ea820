/** Kinds of object that can be stored, by how many prototypes stand between the object and null. */
const chainLengths: Readonly<Record<string, number>> = {
  Object: 1,
  Array: 2,
  Date: 2,
  Map: 2,
  Set: 2,
  Uint8Array: 3,
};

/** What an object is; `bare` has no prototype, `other` cannot be stored. */
export type Kind = "Object" | "Array" | "Date" | "Map" | "Set" | "Uint8Array" | "bare" | "other";

/**
 * The kind of an object by its prototype. Subclasses are `other`. That an object with the prototype of a date, map or set
 * really is one shows when it is read by the functions below, which throw otherwise.
 */
export function kindOf(value: object): Kind {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) return isPrototype(prototype, Array.prototype, "Array") ? "Array" : "other";
  if (prototype === Object.prototype) return "Object";
  if (prototype === Date.prototype) return "Date";
  if (prototype === null) return "bare";
  if (prototype === Map.prototype) return "Map";
  if (prototype === Set.prototype) return "Set";
  if (prototype === Uint8Array.prototype) return "Uint8Array";
  if (isPrototype(prototype, null, "Object")) return "Object";
  if (isPrototype(prototype, null, "Date")) return "Date";
  if (isPrototype(prototype, null, "Map")) return "Map";
  if (isPrototype(prototype, null, "Set")) return "Set";
  return isPrototype(prototype, null, "Uint8Array") ? "Uint8Array" : "other";
}

/** Test runners and sandboxes have a second set of built-ins, so a prototype is also known by its constructor's name and chain. */
function isPrototype(value: unknown, own: object | null, name: string): boolean {
  if (value === own) return true;
  if (typeof value !== "object" || value === null || constructorName(value) !== name) return false;
  let length = 1;
  for (
    let next: unknown = Object.getPrototypeOf(value);
    typeof next === "object" && next !== null;
    length++
  ) {
    next = Object.getPrototypeOf(next);
  }
  return length === chainLengths[name];
}

function constructorName(prototype: object): unknown {
  const made: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof made === "function" ? made.name : undefined;
}

/** The name of an object's class for a message; never data. */
export function className(value: object): string {
  for (let next: unknown = value; typeof next === "object" && next !== null;) {
    const name = constructorName(next);
    if (typeof name === "string" && /^[\w$]{1,80}$/.test(name)) return name;
    next = Object.getPrototypeOf(next);
  }
  return "a class";
}

const { getTime } = Date.prototype;

/** Milliseconds of a date. @throws TypeError for anything that only looks like one. */
export function timeOf(value: object): number {
  return getTime.call(value);
}

/** Narrows to a real byte array, whatever its own properties say. */
export function isBytes(value: object): value is Uint8Array {
  return ArrayBuffer.isView(value) && typedArrayName(value) === "Uint8Array";
}

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
);

function typedArrayName(value: ArrayBufferView): unknown {
  return typedArrayTag?.get?.call(value);
}

/** A plain object: a literal, or one without a prototype. A proxy that throws is none. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  try {
    const kind = kindOf(value);
    return kind === "Object" || kind === "bare";
  } catch {
    return false;
  }
}

/** A date, not of a subclass, that is a point in time. */
export function isValidDate(value: unknown): value is Date {
  if (typeof value !== "object" || value === null) return false;
  try {
    return kindOf(value) === "Date" && !Number.isNaN(timeOf(value));
  } catch {
    return false;
  }
}
