-- Undo an accept whose caller was told that nothing was stored.
-- item    id channel attempt(of this instance)
-- reply   1, or 0 where it is not that call's, another one heard of the message, or it was marked already
local function each(it)
  local id, key = it[1], P .. 'm:' .. it[1]
  local f = call('HMGET', key, 'v', 's', 'k', 'l')
  if f[1] ~= INSTANCE .. ' ' .. it[3] or f[2] ~= QUEUED or f[3] then return 0 end
  drop_body(id, f[4], it[2])
  count(f[4], it[2], 'accepted', -1)
  call('ZREM', P .. 'q:' .. it[2], id)
  call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id)
  call('ZREM', P .. 'x:' .. f[4] .. '|' .. it[2], id)
  call('DEL', key, P .. 't:' .. id)
  return 1
end
