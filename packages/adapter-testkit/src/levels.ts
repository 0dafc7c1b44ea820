import type { Level } from "./level.js";
import { adapter } from "./levels/adapter.js";
import { budgets } from "./levels/budgets.js";
import { conflicts } from "./levels/conflicts.js";
import { endings } from "./levels/endings.js";
import { entries } from "./levels/entries.js";
import { evolution } from "./levels/evolution.js";
import { faults } from "./levels/faults.js";
import { find } from "./levels/find.js";
import { groups } from "./levels/groups.js";
import { isolation } from "./levels/isolation.js";
import { kills } from "./levels/kills.js";
import { races } from "./levels/races.js";
import { retries } from "./levels/retries.js";
import { records } from "./levels/records.js";
import { retention } from "./levels/retention.js";
import { rows } from "./levels/rows.js";
import { rules } from "./levels/rules.js";
import { search } from "./levels/search.js";
import { turns } from "./levels/turns.js";
import { values } from "./levels/values.js";

/** All that is tested, in this order. Each is in a file of its own in `levels/`. */
export const levels: readonly Level[] = [
  ...[adapter, rows, find, entries, search],
  ...[turns, rules, conflicts, retries, groups, endings, records, evolution, retention],
  ...[values, isolation, races, kills, faults, budgets],
];
