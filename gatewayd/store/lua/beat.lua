-- One heartbeat of this instance.
-- item    boot-id first(0|1) dead-after(ms)
-- reply   {still ours, dead peers, paused places, the server's clock {s, us}, by how much it was set back (ms, or 0),
--         the dataset's name, how many heartbeats it has seen}
-- holds   the process that began last owns the instance's name; an older one of the same name learns it here
--         nobody is dead before there were heartbeats for as long: after an outage, or a clock that was set on, all are
--         late; and a clock that was set back is told to one process, which puts right what stands in the future
local function each(it)
  local time = {math.floor(NOW / 1000), NOW % 1000 * 1000}
  if it[2] == 1 then call('HSET', P .. 'boots', INSTANCE, it[1]) end
  local ours = call('HGET', P .. 'boots', INSTANCE)
  if ours and ours ~= it[1] then return {0, {}, {}, time, 0, '', 0} end
  if not ours then call('HSET', P .. 'boots', INSTANCE, it[1]) end
  local last, steady = unpack(call('HMGET', P .. 'beats', 'last', 'steady'))
  local back = last and math.max(last - NOW, 0) or 0
  if back < 1000 then back = 0 end
  if not last or back > 0 or NOW - last > 5000 then
    steady = now
    for _, name in ipairs(call('ZRANGEBYSCORE', P .. 'inst', '(' .. now, '+inf')) do call('ZADD', P .. 'inst', now, name) end
  end
  call('HSET', P .. 'beats', 'last', now, 'steady', steady)
  call('ZADD', P .. 'inst', now, INSTANCE)
  local dead = NOW - steady >= it[3] and call('ZRANGEBYSCORE', P .. 'inst', '-inf', NOW - it[3]) or {}
  -- One that is empty has another name, one that is older has seen fewer.
  call('HSETNX', P .. 'beats', 'name', it[1] .. now)
  local name, count = call('HGET', P .. 'beats', 'name'), call('HINCRBY', P .. 'beats', 'count', 1)
  return {1, dead, call('SMEMBERS', P .. 'paused'), time, back, name, count}
end
