-- Bring forward what was put off because its way was busy, and what is held or waits as uncertain, for another look at
-- it; a failed try keeps its back-off, unless every is 1.
-- item    channel limit after(ms, as text) every
-- reply   the latest moment that was looked at, as text; '' where nothing waits for a later one
local function each(it)
  local q, last = P .. 'q:' .. it[1], ''
  local rows = call('ZRANGEBYSCORE', q, '(' .. it[3], '+inf', 'WITHSCORES', 'LIMIT', 0, it[2])
  for i = 1, #rows, 2 do
    local f = call('HMGET', P .. 'm:' .. rows[i], 's', 'n')
    local tried = it[4] ~= 1 and (f[2] or '0') ~= '0'
    if f[1] == UNCERTAIN or f[1] == QUEUED and not tried then call('ZADD', q, now, rows[i]) end
    last = rows[i + 1]
  end
  return last
end
