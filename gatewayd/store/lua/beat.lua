-- One heartbeat of this instance.
-- item    first(0|1) dead-after(ms) first-undecided(attempt)
--         name count(of the dataset and its heartbeats, as this process heard them last; '' 0 before)
-- reply   {still ours, dead peers, paused scopes, the server's clock {s, us}, by how much it was set back (ms, or 0),
--         the dataset's name, how many heartbeats it has seen}
-- holds   the process that began last owns the instance's name; an older one of the same name learns it here, and has no
--         call any more whose caller may hear that nothing was stored
--         a dataset from before this process's last heartbeat may know its predecessor only: that one isn't its successor
--         nobody is dead before there were heartbeats for as long: after an outage, or a clock that was set on, all are
--         late; and a clock that was set back is told to one process, which puts right what stands in the future
--         what 0.1.0 stored stands in no player's list: for as long as any of it may be kept, that is remembered
local ALL_HEARD = '9007199254740991'

local function remember_old_data()
  if call('EXISTS', KEY.layout) == 1 then return end
  if call('EXISTS', KEY.counts) == 1 then call('SET', KEY.old_data, '1', 'EX', KEEP + 62 * 86400) end
  call('SET', KEY.layout, '2')
end

local function each(it)
  local is_first, dead_after, undecided, name, count = unpack(it)
  local time = {math.floor(NOW / 1000), NOW % 1000 * 1000}
  if is_first == 1 then
    local former = call('HGET', KEY.boots, INSTANCE)
    -- Our former self has ended: whoever it answered 0 right before that waits for nothing.
    if former and former ~= BOOT then call('SET', KEY.heard .. former, ALL_HEARD, 'EX', 3600) end
    call('HSET', KEY.boots, INSTANCE, BOOT)
    remember_old_data()
  end
  local last, steady, dataset, beaten = unpack(call('HMGET', KEY.beats, 'last', 'steady', 'name', 'count'))
  local is_older = count > 0 and (dataset ~= name or tonumber(beaten) < count)
  local owner = call('HGET', KEY.boots, INSTANCE)
  if owner and owner ~= BOOT and not is_older then return {0, {}, {}, time, 0, '', 0} end
  if owner ~= BOOT then call('HSET', KEY.boots, INSTANCE, BOOT) end
  local back = last and math.max(last - NOW, 0) or 0
  if back < 1000 then back = 0 end
  if not last or back > 0 or NOW - last > 5000 then
    steady = now
    for _, name in ipairs(call('ZRANGEBYSCORE', KEY.instances, '(' .. now, '+inf')) do
      call('ZADD', KEY.instances, now, name)
    end
  end
  call('HSET', KEY.beats, 'last', now, 'steady', steady)
  call('ZADD', KEY.instances, now, INSTANCE)
  all_heard_before(undecided)
  local dead = NOW - steady >= dead_after and call('ZRANGEBYSCORE', KEY.instances, '-inf', NOW - dead_after) or {}
  -- One that is empty has another name, one that is older has seen fewer.
  call('HSETNX', KEY.beats, 'name', BOOT .. now)
  local beats = call('HINCRBY', KEY.beats, 'count', 1)
  return {1, dead, call('SMEMBERS', KEY.paused), time, back, dataset or call('HGET', KEY.beats, 'name'), beats}
end
