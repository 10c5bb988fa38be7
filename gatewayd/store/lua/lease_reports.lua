-- Lease messages that have a status to tell.
-- item    limit lease(the name of the first one's is this and 1)
-- reply   a list of reports
local function each(limit, lease)
  local queue, got = KEY.queue .. 'reports', {}
  for i, id in ipairs(call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)) do
    call('ZREM', queue, id)
    local pending, label, channel, url, since, tries, first_try = unpack(call('HMGET', KEY.message .. id,
      FIELD.pending_reports, FIELD.label, FIELD.channel, FIELD.callback, FIELD.report_since, FIELD.report_tries,
      FIELD.report_first_try))
    if pending and pending ~= '' then
      local name = lease .. '.' .. i
      enter_leases('reports', id)
      call('HSET', KEY.message .. id, FIELD.report_lease, BOOT .. name)
      got[#got + 1] = next_report(id, pending, label, channel, url, since, tries, first_try, name)
    end
  end
  return got
end
