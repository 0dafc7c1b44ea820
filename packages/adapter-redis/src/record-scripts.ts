/*
 * The records of a scope are a hash and a sorted set. The hash has each value as a text of three lines, the stamp, the revision
 * and the value, both as JSON; a value `null` is what is left of a record that was removed. The sorted set has the fields
 * of those that are records, in the order of their bytes. Fields begin with the scope's prefix, which tells the lives of a
 * session apart; the field that is the prefix alone has the stamp of the scope's entry in the list of scopes.
 */

/** What writes need. `hash` and `order` name the keys. */
export const records = `
-- By bytes: Lua's own order is that of the server's language.
local function isLess(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
-- Whether the scope is in the list of scopes, or is by an entry that cannot have been dropped.
local function isListed(prefix, listing, deadline)
  redis.call('ZCARD', order)
  if redis.call('HEXISTS', hash, prefix) == 1 then return true end
  return listing ~= '' and tonumber(redis.call('TIME')[1]) <= tonumber(deadline)
end
local function isRemoved(text) return string.sub(text, -5) == '\\nnull' end
local function set(prefix, key, text)
  redis.call('HSET', hash, prefix .. key, text)
  if isRemoved(text) then redis.call('ZREM', order, prefix .. key)
  else redis.call('ZADD', order, 0, prefix .. key) end
end
local function keep(prefix, key, stamp, rest)
  local present = redis.call('HGET', hash, prefix .. key)
  if present and not isLess(string.match(present, '^(.*)\\n.*\\n'), stamp) then return end
  set(prefix, key, stamp .. '\\n' .. rest)
end`;

/**
 * Where there is `hash`, ARGV ends with key, stamp and the other lines of each record, then the number of these strings, the
 * prefix, and stamp and deadline of the scope's new entry, or nothing. `ending` is the last argument before them.
 */
export const broughtRecords = `${records}
local ending, prefix, listing, deadline = #ARGV, '', '', ''
if hash then
  ending, prefix, listing, deadline = unpack(ARGV, #ARGV - 3)
  ending = #ARGV - 4 - tonumber(ending)
end
local function isUnlisted() return hash and not isListed(prefix, listing, deadline) end
local function keepAll()
  if not hash then return end
  for i = ending + 1, #ARGV - 4, 3 do keep(prefix, ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
  if listing ~= '' then redis.call('HSETNX', hash, prefix, listing) end
end`;

/** KEYS: of the scope. ARGV: records as `broughtRecords` reads them. The stamp of the scope's entry. */
export const applyRecords = `local hash, order = KEYS[1], KEYS[2]${broughtRecords}
if isUnlisted() then return 'unlisted' end
keepAll()
return redis.call('HGET', hash, prefix)`;

const revisionOf = `
local function revisionOf(text) return text and not isRemoved(text) and string.match(text, '^.*\\n(.*)\\n') or '' end`;

/**
 * KEYS: of the scope. ARGV: 1 prefix, 2 key, 3 revision seen or nothing, 4 revision, 5 text, 6 and 7 stamp and deadline of the
 * scope's new entry, or nothing. The stamp of the scope's entry. A client may send it twice: what it stored, it stored.
 */
export const putRecord = `local hash, order = KEYS[1], KEYS[2]${records}${revisionOf}
local present = revisionOf(redis.call('HGET', hash, ARGV[1] .. ARGV[2]))
if present ~= ARGV[3] and present ~= ARGV[4] then return 'moved' end
if not isListed(ARGV[1], ARGV[6], ARGV[7]) then return 'unlisted' end
set(ARGV[1], ARGV[2], ARGV[5])
if ARGV[6] ~= '' then redis.call('HSETNX', hash, ARGV[1], ARGV[6]) end
return redis.call('HGET', hash, ARGV[1])`;

/**
 * KEYS: of the scope. ARGV: prefix, key, revision seen. False: it moved or is gone. Otherwise the stamp of the scope's entry
 * where the scope went with its last record, or nothing.
 */
export const removeRecord = `local hash, order = KEYS[1], KEYS[2]${records}${revisionOf}
if revisionOf(redis.call('HGET', hash, ARGV[1] .. ARGV[2])) ~= ARGV[3] then return false end
redis.call('ZREM', order, ARGV[1] .. ARGV[2])
redis.call('HDEL', hash, ARGV[1] .. ARGV[2])
local stamp = redis.call('HLEN', hash) == 1 and redis.call('HGET', hash, ARGV[1])
if not stamp then return '' end
redis.call('UNLINK', hash)
return stamp`;

/** KEYS: of the scope. ARGV: field. Its text: a record, or with the prefix alone the stamp of the scope's entry. */
export const readRecord = `
return redis.call('HGET', KEYS[1], ARGV[1])`;

/** KEYS: of the scope. ARGV: where to begin and to end, how many. Fields and texts, as two lists. */
export const listRecords = `
local fields = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
return { fields, #fields > 0 and redis.call('HMGET', KEYS[1], unpack(fields)) or {} }`;

/** KEYS: of the scope. ARGV: prefix, begin and end. The stamp of its entry, or nothing, and whether it holds a record. */
export const peekScope = `
local some = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[2], ARGV[3], 'LIMIT', 0, 1)
return { redis.call('HGET', KEYS[1], ARGV[1]) or '', #some }`;

/** KEYS: of the scope. ARGV: prefix, begin and end. How many records there were, and the stamp of its entry, or nothing. */
export const removeScope = `
local count = redis.call('ZLEXCOUNT', KEYS[2], ARGV[2], ARGV[3])
local answer = { count, redis.call('HGET', KEYS[1], ARGV[1]) or '' }
local fields, size = {}, redis.call('HLEN', KEYS[1])
if ARGV[1] ~= '' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #ARGV[1]) == ARGV[1] then fields[#fields + 1] = field end
  end
end
if ARGV[1] == '' or #fields == size then
  redis.call('UNLINK', KEYS[1], KEYS[2])
  return answer
end
redis.call('ZREMRANGEBYLEX', KEYS[2], ARGV[2], ARGV[3])
for i = 1, #fields, 1000 do redis.call('HDEL', KEYS[1], unpack(fields, i, math.min(i + 999, #fields))) end
return answer`;
