// Stands in for a language model so that the example needs no key and no network: it finds fields with regular
// expressions and says the prompts of the steps as they are. A real provider has the same one method.
const numbers = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
];
const count = `\\d+|${numbers.slice(1).join("|")}`;
const guests = [
  new RegExp(`\\b(?:for|are|be|us|it|no,?|only)\\s+(${count})\\b(?!\\s*(?::|am\\b|pm\\b|o'clock))`, "i"),
  new RegExp(`\\b(${count})\\s+(?:people|persons?|guests?|of us)\\b`, "i"),
];
const days = /\b(mon|tues|wednes|thurs|fri|satur|sun)day\b/i;
const clock =
  /\b(?:at\s+)?(\d{1,2})(?:[:.](\d\d))?\s*(am|pm|o'clock)\b|\b(\d{1,2}):(\d\d)\b|\bat\s+(\d{1,2})\b/i;
const named =
  /\b(?:[Mm]y name is|[Tt]he name is|[Nn]ame:|I am|I'm|[Tt]his is|[Ii]t's)\s+(\p{Lu}[\p{L}'-]+(?:\s\p{Lu}[\p{L}'-]+)*)/u;

/** How each field is found in what was said; `isAsked` when the person was just asked for it. */
const finders = {
  guests: (text, isAsked) => {
    const found = guests.map((pattern) => pattern.exec(text)?.[1]).find(Boolean);
    const word = found ?? (isAsked ? new RegExp(`^\\W*(${count})\\W*$`, "i").exec(text)?.[1] : undefined);
    if (word === undefined) return undefined;
    const number = numbers.indexOf(word.toLowerCase());
    return number >= 0 ? number : Number(word);
  },
  phone: (text) => /\+?\d[\d /-]{4,}\d/.exec(text)?.[0],
  day: (text) => {
    const found = days.exec(text)?.[0].toLowerCase();
    return found && found[0].toUpperCase() + found.slice(1);
  },
  time: (text) => {
    const found = clock.exec(text);
    if (found === null) return undefined;
    const hour = Number(found[1] ?? found[4] ?? found[6]);
    const isEvening = found[3]?.toLowerCase() !== "am" && hour < 12;
    return `${String(isEvening ? hour + 12 : hour).padStart(2, "0")}:${found[2] ?? found[5] ?? "00"}`;
  },
  name: (text, isAsked) =>
    named.exec(text)?.[1] ??
    (isAsked ? /^\s*(\p{Lu}[\p{L}'-]+(?:\s\p{L}[\p{L}'-]+)*)\W*$/u.exec(text)?.[1] : undefined),
  email: (text, isAsked) =>
    /\S+@[\w.-]+\w/.exec(text)?.[0] ?? (isAsked && /^\S+$/.test(text) ? text : undefined),
};

export const ruleModel = {
  name: "rules",
  async generate({ history, fields, step, refused, completed }) {
    const text = history.at(-1)?.content ?? "";
    const data = {};
    for (const { name } of fields) data[name] = finders[name](text, step?.collect.includes(name) === true);
    const known = Object.fromEntries(fields.map(({ name, known }) => [name, data[name] ?? known]));
    return { message: messageFor({ known, step, refused, completed }), data };
  },
};

/** What to say where the conversation stands; if the data leads elsewhere, the agent asks again. */
function messageFor({ known, step, refused, completed }) {
  if (completed) return "Thank you, the table is yours. You get a confirmation by e-mail.";
  if (!step) return "Your table is booked. See you then!";
  if (refused.length > 0) return `Sorry, ${refused[0].problems.join(", ")}. ${step.prompt}`;
  if (step.id === "when" && known.day !== undefined) return `${known.day}, fine. At what time?`;
  if (step.id === "when" && known.time !== undefined) return `At ${known.time}, fine. On which day?`;
  return step.prompt;
}
