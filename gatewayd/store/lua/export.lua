-- All that is kept of one message, where it is this player's.
-- item    id label user
-- reply   false, or {id, uid, label, channel, user, state, told, taken ms, deadline ms, sent ms, activity, address
--         hash, route, tries, callback url, timeline, body}, each false where there is none
local function each(it)
  local id, m = it[1], P .. 'm:' .. it[1]
  local f = call('HMGET', m, 'i', 'l', 'c', 'x', 's', 'o', 't', 'd', 'e', 'y', 'a', 'r', 'n', 'w')
  if f[4] ~= it[3] or f[2] ~= it[2] then return false end
  table.insert(f, 1, id)
  f[15] = f[15] and f[15] ~= '' and call('GET', P .. 'w:' .. f[15])
  f[16] = call('LRANGE', P .. 't:' .. id, 0, -1)
  f[17] = call('GET', P .. 'b:' .. id)
  return f
end
