import { historyLog, operationWindow, stampDigits } from "@waymark/core/adapter";
import { broughtRecords, records } from "./record-scripts.js";
import { ring } from "./rows.js";

/*
 * Values are JSON texts that a script compares, moves and joins, but never parses: Lua would change numbers and mistake
 * empty lists for empty objects. Each script reads all that it needs, which also fails where a key is something else, and
 * then writes; the first write is one that a full server refuses, so that a turn is never stored by half.
 */

/** The whole hash as the text of one object; false where there is none. */
const row = `
local function row(key)
  local fields = redis.call('HGETALL', key)
  if #fields == 0 then return false end
  local texts = {}
  for i = 1, #fields, 2 do texts[#texts + 1] = '"' .. fields[i] .. '":' .. fields[i + 1] end
  return '{' .. table.concat(texts, ',') .. '}'
end`;

const whole = `
local function whole(number) return string.format('%.0f', number) end`;

/** KEYS: session. */
export const readRow = `${row}
return row(KEYS[1])`;

/** KEYS: session. What a query needs to know, as the text of a list. */
export const peek = `
local fields = redis.call('HMGET', KEYS[1], 'status', 'userId', 'agentName', 'createdAt', 'updatedAt', 'expiresAt', 'dirty')
if not fields[1] then return false end
return '[' .. table.concat(fields, ',') .. ']'`;

/**
 * KEYS: session, messages, and those of its records where it brings any. ARGV: deadline in seconds, number of strings of the
 * row, these, field and text of each entry, then records as `broughtRecords` reads them.
 */
export const create = `local hash, order = KEYS[3], KEYS[4]${row}${broughtRecords}
local present = row(KEYS[1])
if present then return present end
if tonumber(redis.call('TIME')[1]) > tonumber(ARGV[1]) then return 'late' end
if isUnlisted() then return 'late' end
redis.call('HLEN', KEYS[2])
local n = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 3, n + 2))
for i = n + 3, ending, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) end
keepAll()
return 'created'`;

/**
 * KEYS: session, messages, and those of its records where it brings any. ARGV: 1 revision seen, 2 createdAt, 3 userId, 4
 * deadline of the new list entries or nothing, 5 whether it is a tombstone, 6 number of strings of the row, 7 number of names of
 * fields that it does not have, then these, then field and text of each entry, then records as `broughtRecords` reads them.
 */
export const update = `local hash, order = KEYS[3], KEYS[4]${broughtRecords}
local seen = redis.call('HMGET', KEYS[1], 'revision', 'createdAt', 'userId')
if seen[1] ~= ARGV[1] then return 'moved' end
if ARGV[4] == '' then
  if seen[2] ~= ARGV[2] or seen[3] ~= ARGV[3] then return 'unlisted' end
elseif tonumber(redis.call('TIME')[1]) > tonumber(ARGV[4]) then return 'unlisted' end
if isUnlisted() then return 'scope unlisted' end
local absent = 7 + tonumber(ARGV[6])
local entries = absent + tonumber(ARGV[7])
-- A full server still takes a delete.
if ARGV[5] == '1' then redis.call('HDEL', KEYS[1], 'state', 'pending') end
for i = entries + 1, ending, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 8, absent))
redis.call('HDEL', KEYS[1], unpack(ARGV, absent + 1, entries))
keepAll()
return 'updated'`;

/** KEYS: session, and messages and records where they go with it. ARGV: revision seen. */
export const remove = `
local seen = redis.call('HMGET', KEYS[1], 'revision', 'createdAt', 'userId', 'listed', 'life')
if seen[1] ~= ARGV[1] then return false end
local scope = KEYS[3] and redis.call('HGET', KEYS[3], seen[5])
redis.call('UNLINK', unpack(KEYS))
return '[' .. seen[2] .. ',' .. seen[3] .. ',' .. (seen[4] or 'null') .. ','
  .. seen[5] .. ',"' .. (scope or '') .. '"]'`;

/** What a turn does more that brings records or expects a number of operations. */
interface More {
  readonly begin: string;
  readonly isPlain: string;
  /** The last argument before the records. */
  readonly ending: string;
  readonly write: string;
}

/**
 * One turn. Where every condition of a plain turn holds, it is written, and the answer is a list; otherwise the answer is
 * the row, and the rules in core say what it means. The small arguments travel as one list, whose elements are texts: a client
 * and a server take longer over twenty arguments than over one.
 *
 * KEYS: session, messages. ARGV: the list, the state or nothing, the messages, then history as sequence and text. The list: 1
 * version expected, 2 last expected, 3 owner, 4 whether it reopens, 5 operation id, 6 the rest of the operation up to its
 * version, 7 operations that a retry knows of ('?': none), 8 time, 9 new userId, 10 number of messages, then fields of the row
 * as name and text. Empty: not given.
 */
const turnOf = ({ begin, isPlain, ending, write }: More) => `${row}${whole}${begin}
local list = cjson.decode(ARGV[1])
local expected, lastExpected, owner, reopens, id, operation, known, at, newUser, messages = unpack(list, 1, 10)
local life, version, last, user, status, dirty, count, expires = unpack(
  redis.call('HMGET', KEYS[1], 'life', 'version', 'last', 'userId', 'status', 'dirty', 'count', 'expiresAt'), 1, 8)
if not life then return false end
local open = string.sub(life, 1, -2)
local number = version and string.sub(version, 1, #life) == open .. '.' and tonumber(string.sub(version, #life + 1, -2))
local isPlain = number and last and count and dirty == 'false' and status ~= '"deleting"'
  and (status == '"active"' or reopens == '1')
  and (expires == 'null' or expires and tonumber(expires) > tonumber(at))
  and (expected == '' or version == expected)
  and (lastExpected == '' or last == lastExpected)
  and (owner == '' or user == 'null' or user == owner)
  and (newUser == '' or user == newUser)${isPlain}
if not isPlain then return row(KEYS[1]) end
-- A first try that moves the version cannot be applied twice: the client may send it again, and the version is another then.
local state = ARGV[2]
count = tonumber(count)
if known ~= '' or expected == '' or state == '' then
  local begins = '{"id":' .. id .. ','
  for _, one in ipairs(redis.call('HMGET', KEYS[1], ${ring.map((name) => `'${name}'`).join(", ")})) do
    if one and string.sub(one, 1, #begins) == begins then return row(KEYS[1]) end
  end
  if known ~= '' and (expected == '' or state == '') and count > ${operationWindow}
    and (known == '?' or tonumber(known) < count - ${operationWindow}) then return row(KEYS[1]) end
end

local first = tonumber(last) + 1
messages = tonumber(messages)
for start = 0, messages - 1, 1000 do
  local entries = {}
  for i = start, math.min(start + 1000, messages) - 1 do
    entries[#entries + 1] = life .. ':' .. whole(first + i)
    entries[#entries + 1] = ARGV[3 + i]
  end
  redis.call('HSET', KEYS[2], unpack(entries))
end
for i = 3 + messages, ${ending}, 2 do
  redis.call('HSETNX', KEYS[2], open .. '${historyLog("")}":' .. ARGV[i], ARGV[i + 1])
end${write}
local from = version
if state ~= '' then
  version = open .. '.' .. whole(number + 1) .. '"'
  list[#list + 1] = 'state'
  list[#list + 1] = state
end
last = whole(first + messages - 1)
first = whole(first)
operation = '{"id":' .. id .. operation .. '"from":' .. from .. ',"version":' .. version
  .. ',"first":' .. first .. ',"last":' .. last .. ',"at":' .. at .. '}'
redis.call('HSET', KEYS[1], 'version', version, 'last', last, 'updatedAt', at, 'count', whole(count + 1),
  'op' .. count % ${operationWindow}, operation, unpack(list, 11))
return '[' .. life .. ',' .. version .. ',' .. first .. ',' .. last .. ',' .. whole(count + 1) .. ']'`;

export const turn = turnOf({ begin: "", isPlain: "", ending: "#ARGV", write: "" });

/**
 * The same with records, whose keys are KEYS 3 and 4. ARGV ends with key and value of each, the number of these strings, and how
 * many operations the row must have had, or nothing. A scope that nobody has listed yet is left to `update`.
 */
export const turnWithRecords = turnOf({
  begin: `
local hash, order = KEYS[3], KEYS[4]${records}
local brought, exact = tonumber(ARGV[#ARGV - 1]), ARGV[#ARGV]
local ending = #ARGV - 2 - brought`,
  isPlain: `
  and (exact == '' or count == exact)
  and (brought == 0 or isListed(life, '', ''))`,
  ending: "ending",
  write: `
local stamp = string.format('%0${stampDigits}.0f', count + 1)
for i = ending + 1, #ARGV - 2, 2 do keep(life, ARGV[i], stamp, list[12] .. '\\n' .. ARGV[i + 1]) end`,
});

/** KEYS: session, messages. ARGV: how many of the last messages. The row, the first sequence, the messages. */
export const load = `${row}${whole}
local text = row(KEYS[1])
if not text then return false end
local life, first, last = unpack(redis.call('HMGET', KEYS[1], 'life', 'first', 'last'), 1, 3)
if not life or not first or not last then return { text, '1' } end
local from = math.max(tonumber(first), tonumber(last) - tonumber(ARGV[1]) + 1)
local fields = {}
for sequence = from, tonumber(last) do fields[#fields + 1] = life .. ':' .. whole(sequence) end
local answer = #fields > 0 and redis.call('HMGET', KEYS[2], unpack(fields)) or {}
table.insert(answer, 1, text)
table.insert(answer, 2, whole(from))
return answer`;

/** KEYS: messages. ARGV: field and text of each entry. What is there stays as it is. */
export const insert = `
for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end`;

/** KEYS: messages. ARGV: field and text of each entry. Only what is there is written; how many that was. */
export const replace = `
local written = 0
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
return written`;

/** KEYS: messages. ARGV: log and colon, from, to. */
export const range = `${whole}
local fields = {}
for sequence = tonumber(ARGV[2]), tonumber(ARGV[3]) do fields[#fields + 1] = ARGV[1] .. whole(sequence) end
return redis.call('HMGET', KEYS[1], unpack(fields))`;

/** KEYS: messages. ARGV: log and colon, the last sequence to remove or nothing. How many were removed. */
export const removeEntries = `${whole}
local size, log, to = redis.call('HLEN', KEYS[1]), ARGV[1], tonumber(ARGV[2])
local fields = {}
if to and to <= size then
  for sequence = 1, to do fields[#fields + 1] = log .. whole(sequence) end
else
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #log) == log and (not to or tonumber(string.sub(field, #log + 1)) <= to) then
      fields[#fields + 1] = field
    end
  end
  if #fields == size then
    redis.call('UNLINK', KEYS[1])
    return size
  end
end
local removed = 0
for i = 1, #fields, 1000 do
  removed = removed + redis.call('HDEL', KEYS[1], unpack(fields, i, math.min(i + 999, #fields)))
end
return removed`;

/** KEYS: list. ARGV: place and id. Adds an entry that ends with the server's time in microseconds, and gives that. */
export const addToList = `
local now = redis.call('TIME')
local stamp = now[1] .. string.format('%06d', now[2])
redis.call('ZADD', KEYS[1], 0, ARGV[1] .. '\\0' .. stamp)
return stamp`;

/** KEYS: list. ARGV: where to begin, how many. The server's time, then entries in their order. */
export const readList = `
local entries = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
table.insert(entries, 1, redis.call('TIME')[1])
return entries`;

/** KEYS: list. ARGV: entries. */
export const dropFromList = `
return redis.call('ZREM', KEYS[1], unpack(ARGV))`;
