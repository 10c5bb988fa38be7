-- Lease messages that have a status to tell.
-- item    limit lease(the name of the first one's is this and 1)
-- reply   a list of reports
local read = RECORD(state, label, report_tries, more)

local function each(limit, lease)
  local queue, got = KEY.queue .. 'reports', {}
  for i, id in ipairs(call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)) do
    call('ZREM', queue, id)
    local m = read(id, FIELD.report_first_try)
    if m and m.to_tell ~= '' then
      local letters, since, name = telling(m.to_tell), since_when(id, m.to_tell) or now, lease .. '.' .. i
      enter_leases('reports', id)
      m.to_tell = as_telling(letters, since, BOOT .. name)
      set_standing(m)
      save(m)
      got[#got + 1] = next_report(id, letters, m.label, m.channel, m.callback, since, m.report_tries, m.more, name)
    end
  end
  return got
end
