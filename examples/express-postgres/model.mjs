// Stands in for a language model, so that the example needs no key and no network. A real provider has the same one method.
import { scriptedModel } from "@waymark/core/testing";

const patterns = { guests: /\b(\d+) (?:people|guests)\b/, day: /\b(\w+day)\b/, name: /\bmy name is (\w+)/ };

export const provider = scriptedModel(({ history, step, refused, completed }) => {
  const text = history.at(-1)?.content ?? "";
  const data = {};
  for (const [field, pattern] of Object.entries(patterns)) {
    const found = pattern.exec(text)?.[1];
    if (found !== undefined) data[field] = field === "guests" ? Number(found) : found;
  }
  const problem = refused[0] === undefined ? "" : `Sorry, ${refused[0].problems.join(", ")}. `;
  const message = completed === undefined ? (step?.prompt ?? "Your table is booked.") : "The table is yours.";
  return { message: problem + message, data };
});
