-- Put a player or an address on the stop list, or keep them there for longer.
-- item    label channel hash lifetime(ms) kind reason user owner since(ms, 0: now)
-- reply   1
-- holds   a stop never becomes shorter, nor older: of two the later beginning and the later end count
local function each(it)
  local scope = scope_of(it[1], it[2])
  local key, index = P .. 'stop:' .. scope .. ':' .. it[3], P .. 'stops:' .. scope
  local since = it[9] > 0 and math.min(it[9], NOW) or NOW
  local before, value = began(key)
  local user = it[7]
  if before then
    since = math.max(since, before)
    if user == '' then user = match(value, '^%d+|%a+|[^|]*|(.*)$') or '' end
  end
  local lifetime = math.max(it[4], call('PTTL', key))
  if it[8] ~= '' then
    -- First: an address on the list that nobody owns could never be taken off by the player's id.
    local owned = P .. 'stopped-of:' .. scope .. ':' .. it[8]
    call('SADD', owned, it[3])
    if call('PTTL', owned) < lifetime then call('PEXPIRE', owned, lifetime) end
  end
  call('SET', key, string.format('%.0f', since) .. '|' .. it[5] .. '|' .. it[6] .. '|' .. user, 'PX', lifetime)
  call('ZADD', index, since, it[3])
  -- The oldest are the first to end: each that comes looks after two, so that the index ends with the list.
  for _, oldest in ipairs(call('ZRANGE', index, 0, 1)) do
    if call('EXISTS', P .. 'stop:' .. scope .. ':' .. oldest) == 0 then call('ZREM', index, oldest) end
  end
  return 1
end
