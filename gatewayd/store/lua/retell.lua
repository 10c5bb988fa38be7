-- Tell a status again later.
-- item    id due(ms) reason counts(0|1)
-- reply   1, or 0 where it is not ours
local function each(it)
  local id, m = it[1], P .. 'm:' .. it[1]
  if call('ZREM', P .. 'l:reports:' .. INSTANCE, id) == 0 then return 0 end
  -- Not kept any more: what is written to it now would have no end.
  if call('EXISTS', m) == 0 then return 0 end
  if it[4] == 1 then
    if call('HINCRBY', m, 'pn', 1) == 1 then call('HSET', m, 'pf', now) end
    note(id, 'tell again', it[3])
  end
  call('ZADD', P .. 'q:reports', it[2], id)
  return 1
end
