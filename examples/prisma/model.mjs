// Stands in for a language model, so that the example needs no key and no network. A real provider has the same one method.
import { scriptedModel } from "@waymark/core/testing";

const patterns = { dish: /\b(pizza|soup|salad)s?\b/i, count: /\b(\d+)\b/, name: /\bmy name is (\w+)/i };

export const provider = scriptedModel(({ history, step, refused, completed }) => {
  const text = history.at(-1)?.content ?? "";
  const data = {};
  for (const [field, pattern] of Object.entries(patterns)) {
    const found = pattern.exec(text)?.[1];
    if (found !== undefined) data[field] = field === "count" ? Number(found) : found;
  }
  const problem = refused[0] === undefined ? "" : `Sorry, ${refused[0].problems.join(", ")}. `;
  const message = completed === undefined ? (step?.prompt ?? "It is on its way.") : "Thank you.";
  return { message: problem + message, data };
});
