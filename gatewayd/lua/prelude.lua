-- Words that all scripts share; put before each of them, with `coda.lua` behind.
-- KEYS[1]  the prefix of every key, with its hash tag (one slot of a cluster)
-- ARGV     now (ms) | items (msgpack) | instance | high-water mark | keep (s) | retention (s)
-- Result   one reply for each item, in order
-- Above stands, written by store.py from status.py: QUEUED, UNCERTAIN, WAITING, FINAL, COLUMN (transition table), OUTCOME.
local P, now, NOW, INSTANCE = KEYS[1], ARGV[1], tonumber(ARGV[1]), ARGV[3]
local KEEP, RETENTION = ARGV[5], ARGV[6]
local call, find, sub = redis.call, string.find, string.sub

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

local function keep(id, seconds)
  keep_key(P .. 'm:' .. id, seconds)
  keep_key(P .. 't:' .. id, seconds)
  local url = call('HGET', P .. 'm:' .. id, 'w')
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

-- The next status to tell of a message: id, letter, label, channel, url, queued ms, tries, first try ms.
local function job(id)
  local f = call('HMGET', P .. 'm:' .. id, 'p', 'l', 'c', 'w', 'pq', 'pn', 'pf')
  if not f[1] or f[1] == '' then return false end
  local url = f[4] and f[4] ~= '' and call('GET', P .. 'w:' .. f[4]) or ''
  return {id, sub(f[1], 1, 1), f[2], f[3], url or '', f[5] or now, f[6] or '0', f[7] or '0'}
end

-- Queue reports behind those that wait already; true if the message was not in the report queue before.
local function tell(id, letters, lease)
  local m = P .. 'm:' .. id
  local pending = call('HGET', m, 'p')
  if pending and pending ~= '' then
    call('HSET', m, 'p', pending .. letters)
    return false
  end
  call('HSET', m, 'p', letters, 'pq', now, 'pn', 0, 'pf', 0)
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

-- Move a message to `new` and queue those of `letters` that were never queued. m is {state, told, label, channel}.
-- Result: changed, leased the report.
local function move(id, m, new, letters, lease)
  local state, told, label, channel = m[1], m[2], m[3], m[4]
  local fresh = ''
  for i = 1, #letters do
    local letter = sub(letters, i, i)
    if not find(told, letter, 1, true) then fresh = fresh .. letter end
  end
  if new == state and fresh == '' then return false, false end
  local key = P .. 'm:' .. id
  call('HSET', key, 's', new, 'o', told .. fresh)
  if new ~= state then
    count(label, channel, new, 1)
    if not WAITING[state] then count(label, channel, state, -1) end
    if FINAL[new] then call('HSET', key, 'z', now) end
    if WAITING[state] then
      drop_body(id, label, channel)
      call('ZREM', P .. 'q:' .. channel, id)
    end
  end
  if find(fresh, 'a', 1, true) then count(label, channel, 'handed', 1) end
  local leased = false
  if fresh ~= '' then leased = tell(id, fresh, lease) and lease end
  keep(id, KEEP)
  return true, leased
end

local function state_of(id)
  local m = call('HMGET', P .. 'm:' .. id, 's', 'o', 'l', 'c')
  if not m[1] then return nil end
  return m
end
