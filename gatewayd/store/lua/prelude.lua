-- Words that all scripts share; put before each of them, with `coda.lua` behind.
-- KEYS[1]  the prefix of every key, with its hash tag (one slot of a cluster)
-- ARGV     what a test adds to the clock (ms) | items (msgpack) | instance | high-water mark | keep (s) | retention (s)
-- Result   one reply for each item, in order
-- Above stands, written by scripts.py from status.py: QUEUED, UNCERTAIN, WAITING, FINAL, COLUMN (transition table), OUTCOME.
local P, INSTANCE = KEYS[1], ARGV[3]
local KEEP, RETENTION = ARGV[5], ARGV[6]
local call, find, sub = redis.call, string.find, string.sub
-- What processes share is timed by this server's clock: theirs may differ.
local clock = call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
local now = string.format('%.0f', NOW)

local function note(id, event, detail)
  local t = P .. 't:' .. id
  local length = call('RPUSH', t, now .. '|' .. event .. '|' .. detail)
  if length > 200 then call('LTRIM', t, -150, -1) end
  -- Late evidence on an erased message begins its timeline anew: that must end as well.
  if length == 1 and event ~= 'taken' then call('EXPIRE', t, KEEP) end
end

-- Keep something for so long at least: what was promised more before (a dead letter, another message's URL) stays.
local function keep_key(key, seconds)
  if call('TTL', key) < tonumber(seconds) then call('EXPIRE', key, seconds) end
end

-- A message, its timeline, and the URL that its hash names.
local function keep(id, url, seconds)
  keep_key(P .. 'm:' .. id, seconds)
  keep_key(P .. 't:' .. id, seconds)
  if url and url ~= '' then keep_key(P .. 'w:' .. url, seconds) end
end

local function count(label, channel, what, by)
  call('HINCRBY', P .. 'counts', label .. '|' .. channel .. '|' .. what, by)
end

-- The body is there exactly while a message waits: `waiting` and each label's `in_flight` count the bodies, not states.
local function drop_body(id, label, channel)
  if call('DEL', P .. 'b:' .. id) == 1 then
    call('DECR', P .. 'waiting')
    count(label, channel, 'in_flight', -1)
  end
end

-- Whether one of these names is on the stop list.
local function stopped(label, channel, names)
  local keys = {}
  for i, name in ipairs(names) do keys[i] = P .. 'stop:' .. label .. ':' .. channel .. ':' .. name end
  return #keys > 0 and call('EXISTS', unpack(keys)) > 0
end

-- The next status to tell of a message: id, letter, label, channel, url, queued ms, tries, first try ms.
local function job(id, letters, label, channel, url, queued, tries, first)
  url = url and url ~= '' and call('GET', P .. 'w:' .. url) or ''
  return {id, sub(letters, 1, 1), label, channel, url, queued or now, tries or '0', first or '0'}
end

local function add(list, ...)
  for i = 1, select('#', ...) do list[#list + 1] = (select(i, ...)) end
end

-- Queue reports behind the `pending` ones; true if the message was not in the report queue before. What its hash gets
-- is added to `fields`, for the caller to write.
local function tell(id, pending, letters, lease, fields)
  if pending and pending ~= '' then
    add(fields, 'p', pending .. letters)
    return false
  end
  add(fields, 'p', letters, 'pq', now, 'pn', 0, 'pf', 0)
  call('ZADD', lease and (P .. 'l:reports:' .. INSTANCE) or (P .. 'q:reports'), now, id)
  return true
end

local function cell(state, told, event)
  local facts = (find(told, 'o', 1, true) and 'o' or '')
    .. ((find(told, 'c', 1, true) or find(told, 'u', 1, true)) and 'c' or '')
  local row = facts == '' and state or (state .. '+' .. facts)
  local _, e = find(COLUMN[event], ';' .. row .. '>', 1, true)
  if not e then return nil end
  local _, _, new, letters = find(COLUMN[event], '^(%a+):(%a*)', e + 1)
  return new, letters
end

-- Move a message to `new` and queue those of `letters` that were never queued; m is what `state_of` gave. What its hash
-- gets is written in one go, with `fields` if it changes at all.
-- Result: changed, the job of the report that was leased or false.
local function move(id, m, new, letters, lease, fields)
  local state, told, label, channel = m[1], m[2], m[3], m[4]
  local fresh = ''
  for i = 1, #letters do
    local letter = sub(letters, i, i)
    if not find(told, letter, 1, true) then fresh = fresh .. letter end
  end
  if new == state and fresh == '' then return false, false end
  fields = fields or {}
  add(fields, 's', new, 'o', told .. fresh)
  if new ~= state then
    count(label, channel, new, 1)
    if not WAITING[state] then count(label, channel, state, -1) end
    if FINAL[new] then add(fields, 'z', now) end
    if WAITING[state] then
      drop_body(id, label, channel)
      call('ZREM', P .. 'q:' .. channel, id)
    end
  end
  if find(fresh, 'a', 1, true) then count(label, channel, 'handed', 1) end
  local leased = fresh ~= '' and tell(id, m[5], fresh, lease, fields) and lease
  call('HSET', P .. 'm:' .. id, unpack(fields))
  keep(id, m[6], KEEP)
  return true, leased and job(id, fresh, label, channel, m[6])
end

-- Whether a waiting message is neither in the queue nor laid aside: one that is leased is being sent or ended right now.
local function in_work(id, label, channel)
  return not call('ZSCORE', P .. 'q:' .. channel, id) and not call('ZSCORE', P .. 'x:' .. label .. '|' .. channel, id)
end

-- Let an uncertain message go on at once, now that it is known what the next hop has of it; false where it is in work.
local function go_on(id, label, channel)
  if in_work(id, label, channel) then return false end
  call('ZADD', P .. 'q:' .. channel, 'XX', now, id)
  call('HSET', P .. 'm:' .. id, 's', QUEUED)
  call('ZREM', P .. 'u:' .. (call('HGET', P .. 'm:' .. id, 'a') or ''), id)
  return true
end

-- How many segments of a long SMS were taken before the one that is, or goes next, on the wire; of a hash's `j`.
local function segments_in(progress)
  local _, taken = string.gsub(progress or '', '%S+', '')
  return taken
end

-- Under what ids an SMSC's receipts name the segments that it took, from the first on. Nodes of one account may count
-- alike, and a counter begins anew: what another number's message was known by stays, under that number.
local function name_segments(id, smsc, remotes, address)
  for i, remote in ipairs(remotes) do
    local key, value = P .. 'r:' .. smsc .. ':' .. remote, id .. '|' .. i .. '|' .. (address or '')
    local before = call('SET', key, value, 'EX', RETENTION, 'GET')
    local number = before and string.match(before, '^[^|]*|%d+|(.+)$')
    if number and number ~= address then call('SET', key .. ':' .. number, before, 'EX', RETENTION) end
  end
end

-- {state, told, label, channel, pending reports, url, and what else is asked for}, or nil for none.
local function state_of(id, ...)
  local m = call('HMGET', P .. 'm:' .. id, 's', 'o', 'l', 'c', 'p', 'w', ...)
  if not m[1] then return nil end
  return m
end
