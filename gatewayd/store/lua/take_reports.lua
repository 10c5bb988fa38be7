-- Lease messages that have a status to tell.
-- item    limit
-- reply   a list of jobs
local function each(it)
  local q, l, got = P .. 'q:reports', P .. 'l:reports:' .. INSTANCE, {}
  for _, id in ipairs(call('ZRANGEBYSCORE', q, '-inf', now, 'LIMIT', 0, it[1])) do
    call('ZREM', q, id)
    local f = call('HMGET', P .. 'm:' .. id, 'p', 'l', 'c', 'w', 'pq', 'pn', 'pf')
    if f[1] and f[1] ~= '' then
      call('ZADD', l, now, id)
      got[#got + 1] = job(id, unpack(f))
    end
  end
  return got
end
