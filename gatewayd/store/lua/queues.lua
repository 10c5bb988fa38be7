-- Figures of the queues.
-- item    kind
-- reply   {waiting, leased, birth of the oldest of the first due ones (ms) or 0}
-- holds   a message that waits for evidence, perhaps until its deadline, is not late: nobody is to be woken for it
local function each(it)
  local kind, leased, oldest = it[1], 0, 0
  local function look(key)
    for _, id in ipairs(call('ZRANGE', key, 0, 19)) do
      local f = call('HMGET', P .. 'm:' .. id, kind == 'reports' and 'pq' or 't', 's')
      local born = tonumber(f[1] or '0')
      local held = kind ~= 'reports' and f[2] == UNCERTAIN
      if born > 0 and not held and (oldest == 0 or born < oldest) then oldest = born end
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
