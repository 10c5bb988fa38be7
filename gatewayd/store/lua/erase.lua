-- Remove what is stored of one player in one message. A keyed fingerprint stays, so that the uid is not sent again.
-- item    id label user failed-state
-- reply   0 not this player's, 1 removed, or the channel on which it was still waiting
local function each(it)
  local id, m = it[1], P .. 'm:' .. it[1]
  local f = state_of(id, 'x', 'a')
  if not f or f[7] ~= it[3] or f[3] ~= it[2] then return 0 end
  local waited = WAITING[f[1]]
  if waited then
    move(id, f, it[4], 'f', false)
    call('ZREM', P .. 'x:' .. f[3] .. '|' .. f[4], id)
  end
  local address = f[8]
  if address then
    if call('GET', P .. 'n:' .. address) == id then call('DEL', P .. 'n:' .. address) end
    call('ZREM', P .. 'u:' .. address, id)
  end
  call('HDEL', m, 'x', 'i', 'a', 'y')
  call('DEL', P .. 't:' .. id)
  call('EXPIRE', m, KEEP)
  return waited and f[4] or 1
end
