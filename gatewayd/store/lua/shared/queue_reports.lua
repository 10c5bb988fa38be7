-- Queue statuses behind those that are pending; with a lease, and none pending, this process tells them at once.
-- Who calls it writes where the message stands. Result: whether this process is to.
local function queue_reports(m, letters, lease)
  if m.to_tell ~= '' then
    local before, since, holder = telling(m.to_tell)
    m.to_tell = as_telling(before .. letters, since, holder)
    return false
  end
  m.to_tell = as_telling(letters, now, lease == '' and '' or BOOT .. lease)
  if lease == '' then
    call('ZADD', KEY.queue .. 'reports', now, m.id)
    return false
  end
  enter_leases('reports', m.id)
  return true
end
