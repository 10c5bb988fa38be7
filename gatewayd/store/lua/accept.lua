-- Store a message, once for its id.
-- item    id packed-id stored-with(see shared/fingerprint.lua) fingerprints(under each key; a space between any two) label channel
--         deadline(ms) accepted(ms, as deadlines are kept) url digest content(both '' where the texts have it) player-bucket
--         lease(0|1) earlier-ids(a space between any two) stop-keys(a list) taken(ms, accepted by the server's clock)
--         until(the same; 0: for ever) call(its own name: boot and attempt) first-undecided(attempt; '' where nobody takes
--         it back) texts(field value ...)
-- reply   leased stored suppressed full late; {same or conflict, or what it said before, id} where it is there already
-- holds   a message is stored whole or not at all; its content, the queue entry and `waiting` come and go together
--         nothing is stored after `until`: a server that was frozen goes on with calls whose callers gave up
--         run again for a lost reply it says what it said; `heard_by` names the calls that heard of the message, and it
--         stays until each of them has taken that back; until one of them is decided nobody else gets it to send
--         a full memory refuses it at its first write, and nothing else: see shared/opening.lua
local MAX = tonumber(ARGV[3])
local waiting = tonumber(call('GET', KEY.waiting) or '0')
local callbacks = {}
local KEPT = KEEP * 1000 -- ms
local LAG = 1000 -- ms: a message whose deadline lags less behind the clock needs no word of it

local read = RECORD(state, heard_by, route, lease)

-- What a call hears of a message that is there already.
local function heard_again(id, same, name, me, channel)
  local key, m = KEY.message .. id, read(id)
  local heard = m and m.heard_by or ''
  if me ~= '' and string.match(heard, '^%d*(;[^;]*;)') == me then
    return {m.lease == name and 'leased' or 'stored', id}
  end
  if not same then return {'conflict', id} end
  if me == '' or #heard > 2000 then
    call('HDEL', key, FIELD.heard_by)
  elseif heard ~= '' and m.state == QUEUED and not m.route and not find(heard, me, 1, true) then
    call('HSET', key, FIELD.heard_by, heard .. sub(me, 2))
  end
  return {'same', id}
end

-- A URL stands once, however many messages name it.
local function name_callback(url, deadline)
  if url == '' then return '' end
  local name = callbacks[url]
  if not name then
    name = sub(redis.sha1hex(url), 1, 12)
    callbacks[url] = name
    local seconds = math.ceil(math.max(deadline - NOW, 0) / 1000) + KEEP
    if call('TTL', KEY.callback .. name) < seconds then call('SET', KEY.callback .. name, url, 'EX', seconds + 86400) end
  end
  return name
end

-- These fields and values, with one more before them where it is wanted: without a table, which would have to grow.
local function with(is_wanted, field, value, ...)
  if is_wanted then return field, value, ... end
  return ...
end

local function each(id, packed_id, stored_with, fingerprints, label, channel, deadline, accepted_at, url, digest, content,
  bucket, to_lease, earlier_ids, stop_keys, taken, last_moment, name, undecided, ...)
  local is_named = undecided ~= ''
  if is_named then all_heard_before(undecided) end
  -- Nearly always none of these is there, and then it is not asked which.
  local is_new = earlier_ids == '' and call('EXISTS', KEY.message .. id, unpack(stop_keys)) == 0
  local known = not is_new and call('HGET', KEY.message .. id, FIELD.fingerprint)
  if known then return heard_again(id, is_same(known, fingerprints), name, is_named and ';' .. name .. ';' or '', channel) end
  for earlier in string.gmatch(earlier_ids, '%S+') do
    known = call('HGET', KEY.message .. earlier, FIELD.fingerprint)
    if known then return heard_again(earlier, is_same(known, fingerprints), name, '', channel) end
  end
  if last_moment > 0 and NOW > last_moment then return 'late' end
  if not is_new and is_stopped(unpack(stop_keys)) then return 'suppressed' end
  if waiting + more_waiting >= MAX then return 'full' end
  if digest ~= '' and not call('SET', KEY.content .. digest, content, 'NX') then call('INCR', KEY.content_more .. digest) end
  -- Nothing is accepted in the future: the clocks may have moved since the caller compared them.
  if taken - NOW > 0 then taken = now end
  local lag = taken == accepted_at and 0 or taken - accepted_at
  -- In this order Redis passes them by when it looks for one: those first that every step of a message needs.
  call('HSET', KEY.message .. id, FIELD.state, QUEUED .. '||', FIELD.accepted_at, taken, FIELD.label,
    label .. '|' .. channel .. '|' .. name_callback(url, deadline), FIELD.fingerprint, stored_with,
    with(to_lease == 1, FIELD.lease, name,
      with(is_named, FIELD.heard_by, now .. ';' .. name .. ';', with(math.abs(lag) >= LAG, FIELD.deadline_lag, lag, ...))))
  if to_lease == 1 then enter_leases(channel, id) else call('ZADD', KEY.queue .. channel, now, id) end
  list_under_player(packed_id, bucket, deadline + KEPT)
  count(label, channel, 'accepted', 1)
  count(label, channel, 'in_flight', 1)
  count_waiting(1)
  return to_lease == 1 and 'leased' or 'stored'
end
