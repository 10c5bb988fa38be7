-- Move the leases of an instance (our own former self, or a dead peer) back into the queues.
-- item    instance limit before(ms, 0 for all)
-- reply   how many moved; call again until 0
-- holds   with `before`, what our successor leased under the same name meanwhile stays its own
local function each(it)
  local moved, upto = 0, it[3] > 0 and ('(' .. it[3]) or '+inf'
  for _, kind in ipairs({'email', 'sms', 'im', 'reports'}) do
    local l = P .. 'l:' .. kind .. ':' .. it[1]
    for _, id in ipairs(call('ZRANGEBYSCORE', l, '-inf', upto, 'LIMIT', 0, it[2])) do
      call('ZREM', l, id)
      call('ZADD', P .. 'q:' .. kind, now, id)
      if kind ~= 'reports' and call('HGET', P .. 'm:' .. id, 's') == UNCERTAIN then
        note(id, 'uncertain', it[1] .. ' ended while it was on the wire')
      end
      moved = moved + 1
    end
  end
  if moved == 0 and it[1] ~= INSTANCE then
    call('ZREM', P .. 'inst', it[1])
    call('HDEL', P .. 'boots', it[1])
  end
  return moved
end
