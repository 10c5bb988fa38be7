-- Pause a label's channel, or let it go on.
-- item    scope paused(0|1)
-- reply   1
local function each(it)
  local scope, paused = unpack(it)
  call(paused == 1 and 'SADD' or 'SREM', KEY.paused, scope)
  return 1
end
