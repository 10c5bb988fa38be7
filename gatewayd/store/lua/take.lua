-- Lease due messages.
-- item    channel limit
-- reply   a list of {id, body, state, tries, first try ms, route, marked ms, progress}
-- holds   a message is in the queue or in exactly one lease set
local function each(it)
  local q, l, got = P .. 'q:' .. it[1], P .. 'l:' .. it[1] .. ':' .. INSTANCE, {}
  for _, id in ipairs(call('ZRANGEBYSCORE', q, '-inf', now, 'LIMIT', 0, it[2])) do
    call('ZREM', q, id)
    local body = call('GET', P .. 'b:' .. id)
    if body then
      call('ZADD', l, now, id)
      local f = call('HMGET', P .. 'm:' .. id, 's', 'n', 'f', 'r', 'k', 'j')
      got[#got + 1] = {id, body, f[1] or QUEUED, f[2] or '0', f[3] or '0', f[4] or '', f[5] or '0', f[6] or ''}
    end
  end
  return got
end
