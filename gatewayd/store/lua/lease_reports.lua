-- Lease messages that have a status to tell.
-- item    limit lease(the name of the first one's is this and 1)
-- reply   a list of reports
local function each(limit, lease)
  local queue, got = KEY.queue .. 'reports', {}
  for i, id in ipairs(call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)) do
    call('ZREM', queue, id)
    local to_tell, label, channel, url, tries, first_try = unpack(call('HMGET', KEY.message .. id,
      FIELD.to_tell, FIELD.label, FIELD.channel, FIELD.callback, FIELD.report_tries, FIELD.report_first_try))
    if to_tell and to_tell ~= '' then
      local letters, since, name = telling(to_tell), since_when(id, to_tell) or now, lease .. '.' .. i
      enter_leases('reports', id)
      call('HSET', KEY.message .. id, FIELD.to_tell, as_telling(letters, since, BOOT .. name))
      got[#got + 1] = next_report(id, letters, label, channel, url, since, tries, first_try, name)
    end
  end
  return got
end
