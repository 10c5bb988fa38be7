-- Figures of the queues.
-- item    kind
-- reply   {waiting, leased, birth of the oldest of the first due ones (ms) or 0}
local function each(it)
  local kind, leased, oldest = it[1], 0, 0
  local function look(key)
    for _, id in ipairs(call('ZRANGE', key, 0, 19)) do
      local born = tonumber(call('HGET', P .. 'm:' .. id, kind == 'reports' and 'pq' or 't') or '0')
      if born > 0 and (oldest == 0 or born < oldest) then oldest = born end
    end
  end
  look(P .. 'q:' .. kind)
  for _, instance in ipairs(call('ZRANGE', P .. 'inst', 0, -1)) do
    local l = P .. 'l:' .. kind .. ':' .. instance
    leased = leased + call('ZCARD', l)
    look(l)
  end
  local waiting = call('ZCARD', P .. 'q:' .. kind)
  for _, place in ipairs(call('SMEMBERS', P .. 'parks')) do
    if string.match(place, '|(%a+)$') == kind then waiting = waiting + call('ZCARD', P .. 'x:' .. place) end
  end
  return {waiting, leased, oldest}
end
