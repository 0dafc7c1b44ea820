// What the visitor of the written conversation says, corrections included.
export const lines = [
  "Hello, we would like to book a table",
  "We are 4",
  "On Friday",
  "At 8 pm, and my name is Ada Lovelace",
  "No, 5 people",
  "ada.example.org",
  "Sorry: ada@example.org",
  "Thank you!",
];
