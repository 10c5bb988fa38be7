-- Give a lease back.
-- item    kind id
-- reply   1, or 0 where it was not held
local function each(it)
  if call('ZREM', P .. 'l:' .. it[1] .. ':' .. INSTANCE, it[2]) == 0 then return 0 end
  call('ZADD', P .. 'q:' .. it[1], now, it[2])
  return 1
end
