-- Move messages that were set aside back into their queues: all of what is no longer paused, and what is past its deadline.
-- item    limit
-- reply   how many moved
local function each(it)
  local limit, moved = unpack(it), 0
  for _, scope in ipairs(call('SMEMBERS', KEY.asides)) do
    local aside = KEY.aside .. scope
    local channel = string.match(scope, '|(%a+)$')
    local upto = call('SISMEMBER', KEY.paused, scope) == 1 and now or '+inf'
    for _, id in ipairs(call('ZRANGEBYSCORE', aside, '-inf', upto, 'LIMIT', 0, limit)) do
      call('ZREM', aside, id)
      call('ZADD', KEY.queue .. channel, now, id)
      moved = moved + 1
    end
    if call('EXISTS', aside) == 0 then call('SREM', KEY.asides, scope) end
  end
  return moved
end
