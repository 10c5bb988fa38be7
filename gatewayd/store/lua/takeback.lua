-- Undo an accept whose caller was told that nothing was stored.
-- item    id channel attempt(of this instance)
-- reply   1, or 0 where that call did not hear of it, another one did too, or it was marked already
local function each(it)
  local id, key = it[1], P .. 'm:' .. it[1]
  local f = call('HMGET', key, 'v', 's', 'k', 'l')
  local me = ';' .. INSTANCE .. ' ' .. it[3] .. ';'
  local at = f[1] and find(f[1], me, 1, true)
  if not at or f[2] ~= QUEUED or f[3] then return 0 end
  local others = sub(f[1], 1, at) .. sub(f[1], at + #me)
  if others ~= ';' then
    call('HSET', key, 'v', others)
    return 0
  end
  drop_body(id, f[4], it[2])
  count(f[4], it[2], 'accepted', -1)
  call('ZREM', P .. 'q:' .. it[2], id)
  call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id)
  call('ZREM', P .. 'x:' .. f[4] .. '|' .. it[2], id)
  call('DEL', key, P .. 't:' .. id)
  return 1
end
