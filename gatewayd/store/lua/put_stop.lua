-- Put a player or an address on the stop list, or keep them there for longer.
-- item    label channel keyed-hash lifetime(ms) until(ms, 0: a lifetime from now) kind reason user owner since(ms, 0: now)
-- reply   1 where nobody of that hash was on it, else 0
-- holds   a stop never becomes shorter, nor older: of two the later beginning and the later end count
local looked_after = {}

-- The oldest are the first to end: each call looks after two of them, so that the index ends with the list.
local function look_after(scope, index)
  if looked_after[scope] then return end
  looked_after[scope] = true
  for _, oldest in ipairs(call('ZRANGE', index, 0, 1)) do
    if call('EXISTS', KEY.stop .. scope .. ':' .. oldest) == 0 then call('ZREM', index, oldest) end
  end
end

local function each(label, channel, hash, lifetime, ends, kind, reason, user, owner, begins)
  local scope = label .. ':' .. channel
  local key, index = KEY.stop .. scope .. ':' .. hash, KEY.stops .. scope
  local since = begins > 0 and math.min(begins, NOW) or NOW
  local before, value = stop_began(key)
  if before then
    since = math.max(since, before)
    if user == '' then user = string.match(value, '^%d+|%a+|[^|]*|(.*)$') or '' end
  end
  if ends > 0 then lifetime = ends - NOW end
  lifetime = math.max(lifetime, 1000, value and call('PTTL', key) or 0)
  if owner ~= '' then
    -- First: an address on the list that nobody owns could never be taken off by the player's id.
    local owned = KEY.stop_of .. scope .. ':' .. owner
    call('SADD', owned, hash)
    if call('PTTL', owned) < lifetime then call('PEXPIRE', owned, lifetime) end
  end
  call('SET', key, string.format('%.0f', since) .. '|' .. kind .. '|' .. reason .. '|' .. user, 'PX', lifetime)
  call('ZADD', index, since, hash)
  look_after(scope, index)
  return value and 0 or 1
end
