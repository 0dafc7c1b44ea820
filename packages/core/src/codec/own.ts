/**
 * Sets an own property that is data, whatever its name: an assignment would run the setter of `__proto__`, and fail for a
 * name that a frozen prototype has.
 */
export function setOwn(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
