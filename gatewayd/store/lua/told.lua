-- A status was heard (or given up): the message's next one, if any, stays leased.
-- item    id letter dead-reason('' heard)
-- reply   the next job or false
-- holds   `p` only ever loses its head, and only to the one who told it
local function each(it)
  local id, letter, m = it[1], it[2], P .. 'm:' .. it[1]
  local l = P .. 'l:reports:' .. INSTANCE
  local f = call('HMGET', m, 'p', 's', 'l', 'c', 'w')
  local pending = f[1]
  if not pending or sub(pending, 1, 1) ~= letter then
    if not pending or pending == '' then call('ZREM', l, id) end
    return false
  end
  pending = sub(pending, 2)
  if it[3] == '' then
    note(id, 'told', letter)
  else
    note(id, 'given up', letter .. ' ' .. it[3])
    call('ZADD', P .. 'dead', now, id .. '|' .. letter)
    call('HSET', P .. 'deadwhy', id .. '|' .. letter, f[3] .. '|' .. it[3])
    -- A person has 30 days to look at it; what is older goes, a few at a time.
    keep(id, f[5], 2592000)
    for _, old in ipairs(call('ZRANGEBYSCORE', P .. 'dead', '-inf', NOW - 2592000000, 'LIMIT', 0, 10)) do
      call('ZREM', P .. 'dead', old)
      call('HDEL', P .. 'deadwhy', old)
    end
  end
  if pending == '' then
    call('HDEL', m, 'p', 'pq', 'pn', 'pf')
    call('ZREM', l, id)
    call('ZREM', P .. 'q:reports', id)
    -- All was heard, and more is not to come: no need to keep it for the reports' sake any more.
    if it[3] == '' and FINAL[f[2]] and call('TTL', m) <= tonumber(KEEP) then
      call('EXPIRE', m, RETENTION)
      call('EXPIRE', P .. 't:' .. id, RETENTION)
    end
    return false
  end
  call('HSET', m, 'p', pending, 'pq', now, 'pn', 0, 'pf', 0)
  -- It has its 48 hours from now on, however long the one before took.
  keep(id, f[5], KEEP)
  return call('ZSCORE', l, id) and job(id, pending, f[3], f[4], f[5])
end
