-- A process says what it wrote to a wire: what the server has forgotten of it, in a failover or a restored backup, is
-- uncertain from now on.
-- item    id route since(ms)
-- reply   1 where it had forgotten, or 0
-- holds   a mark of `since` or later is known; a message that is settled stays so
local function each(it)
  local key = P .. 'm:' .. it[1]
  local f = call('HMGET', key, 's', 'k')
  if not f[1] or tonumber(f[2] or '0') >= it[3] then return 0 end
  if not WAITING[f[1]] then return 0 end
  call('HSET', key, 's', UNCERTAIN, 'r', it[2], 'k', now)
  note(it[1], 'uncertain', 'Redis had forgotten that it was written to ' .. it[2])
  return 1
end
