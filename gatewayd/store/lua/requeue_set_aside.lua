-- Move messages that were set aside back into their queues: all of what is no longer paused, and what is past its
-- deadline. And what 0.1.0 has in its own queues: beside this version, while a cluster is upgraded, or before it.
-- item    limit over(ms: a deadline before it has passed, as deadlines are kept)
-- reply   how many moved
local function each(limit, over)
  local moved = 0
  for _, kind in ipairs(KINDS) do
    local rows = call('ZRANGE', KEY.old_queue .. kind, 0, limit - 1, 'WITHSCORES')
    for i = 1, #rows, 2 do
      call('ZREM', KEY.old_queue .. kind, rows[i])
      call('ZADD', KEY.queue .. kind, rows[i + 1], rows[i])
      moved = moved + 1
    end
  end
  for _, scope in ipairs(call('SMEMBERS', KEY.asides)) do
    local aside = KEY.aside .. scope
    local channel = string.match(scope, '|(%a+)$')
    local upto = call('SISMEMBER', KEY.paused, scope) == 1 and over or '+inf'
    for _, id in ipairs(call('ZRANGEBYSCORE', aside, '-inf', upto, 'LIMIT', 0, limit)) do
      call('ZREM', aside, id)
      call('ZADD', KEY.queue .. channel, now, id)
      moved = moved + 1
    end
    if call('EXISTS', aside) == 0 then call('SREM', KEY.asides, scope) end
  end
  return moved
end
