-- One heartbeat of this instance.
-- item    boot-id first(0|1) dead-after(ms)
-- reply   {still ours, dead peers, paused places, the server's clock {s, us}}
-- holds   the process that began last owns the instance's name; an older one of the same name learns it here
local function each(it)
  if it[2] == 1 then call('HSET', P .. 'boots', INSTANCE, it[1]) end
  local ours = call('HGET', P .. 'boots', INSTANCE)
  if ours and ours ~= it[1] then return {0, {}, {}, call('TIME')} end
  if not ours then call('HSET', P .. 'boots', INSTANCE, it[1]) end
  call('ZADD', P .. 'inst', now, INSTANCE)
  local dead = call('ZRANGEBYSCORE', P .. 'inst', '-inf', NOW - it[3])
  return {1, dead, call('SMEMBERS', P .. 'paused'), call('TIME')}
end
