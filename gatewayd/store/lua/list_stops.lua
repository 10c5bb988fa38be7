-- Some stops in their order: by when they began, then by keyed hash. Those that ended leave the index.
-- item    label channel first(ms) after (a keyed hash, or '' for all that began at first or later) count
-- reply   {now (ms), where to go on ("0": nowhere), for each stop its keyed hash, its value and its ms left}
-- holds   each is given once, whatever comes and goes meanwhile: the place is found by the order, not by a number
local function each(label, channel, first, after, count)
  local scope = label .. ':' .. channel
  local index, found, go_on = KEY.stops .. scope, {}, '0'
  local from
  if after == '' then
    from = call('ZCOUNT', index, '-inf', '(' .. string.format('%.0f', first))
  else
    -- The one given last may be gone or have moved: what would stand right behind it says where it stood.
    local behind = after .. '~'
    call('ZADD', index, string.format('%.0f', first), behind)
    from = call('ZRANK', index, behind)
    call('ZREM', index, behind)
  end
  local some = call('ZRANGE', index, from, from + count - 1, 'WITHSCORES')
  for at = 1, #some, 2 do
    local hash = some[at]
    local key = KEY.stop .. scope .. ':' .. hash
    local since, value = stop_began(key)
    if not value then call('ZREM', index, hash) end
    if since then
      found[#found + 1] = hash
      found[#found + 1] = value
      found[#found + 1] = call('PTTL', key)
    end
  end
  if #some == 2 * count then
    local last_hash, last_began = some[#some - 1], some[#some]
    go_on = string.format('%.0f', last_began) .. '-' .. last_hash
  end
  return {now, go_on, found}
end
