-- Move laid-aside messages back into their queues: all of what is no longer paused, and what is past its deadline.
-- item    limit
-- reply   how many moved
local function each(it)
  local moved = 0
  for _, place in ipairs(call('SMEMBERS', P .. 'parks')) do
    local x = P .. 'x:' .. place
    local channel = string.match(place, '|(%a+)$')
    local upto = call('SISMEMBER', P .. 'paused', place) == 1 and now or '+inf'
    for _, id in ipairs(call('ZRANGEBYSCORE', x, '-inf', upto, 'LIMIT', 0, it[1])) do
      call('ZREM', x, id)
      call('ZADD', P .. 'q:' .. channel, now, id)
      moved = moved + 1
    end
    if call('EXISTS', x) == 0 then call('SREM', P .. 'parks', place) end
  end
  return moved
end
