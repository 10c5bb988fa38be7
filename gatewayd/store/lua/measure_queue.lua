-- Figures of a queue.
-- item    kind; for messages, how far away (ms) the next try of one is at most that is not put off on purpose
-- reply   {waiting, leased, birth of the oldest of the first due ones, and of some of those in work (ms), or 0}
-- holds   a message that waits for evidence, perhaps until its deadline, or for the end of quiet hours, is not late: nobody
--         is to be woken for it
local read = RECORD(state, accepted_at)

local function each(kind, ahead)
  local leased, oldest = 0, 0
  local function look(ids)
    for _, id in ipairs(ids) do
      local m = read(id)
      local is_report = kind == 'reports'
      local born = m and tonumber(is_report and since_when(id, m.to_tell) or not is_report and m.accepted_at) or 0
      local held = m and not is_report and m.state == UNCERTAIN
      if born > 0 and not held and (oldest == 0 or born < oldest) then oldest = born end
    end
  end
  local latest = kind == 'reports' and '+inf' or NOW + ahead
  look(call('ZRANGEBYSCORE', KEY.queue .. kind, '-inf', latest, 'LIMIT', 0, 20))
  for _, instance in ipairs(call('ZRANGE', KEY.instances, 0, -1)) do
    local leases = KEY.leases .. kind .. ':' .. instance
    leased = leased + call('SCARD', leases)
    look(call('SRANDMEMBER', leases, 20))
  end
  local waiting = call('ZCARD', KEY.queue .. kind)
  for _, scope in ipairs(call('SMEMBERS', KEY.asides)) do
    if string.match(scope, '|(%a+)$') == kind then waiting = waiting + call('ZCARD', KEY.aside .. scope) end
  end
  return {waiting, leased, oldest}
end
