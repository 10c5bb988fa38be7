-- The next status to tell of a message: id, letter, label, channel, url, since ms, tries, first try ms, lease.
local urls = {}
local function next_report(id, letters, label, channel, url, since, tries, first_try, lease)
  local name = url or ''
  if not urls[name] then urls[name] = name ~= '' and call('GET', KEY.callback .. name) or '' end
  return {id, sub(letters, 1, 1), label, channel, urls[name], since or now, tries or '0', first_try or '0', lease}
end

-- Queue statuses behind those that are pending; with a lease, and none pending, this process tells them at once.
-- Result: whether it is to.
local function queue_reports(m, letters, lease)
  if m.pending_reports ~= '' then
    set(m, FIELD.pending_reports, m.pending_reports .. letters)
    return false
  end
  set(m, FIELD.pending_reports, letters)
  set(m, FIELD.report_since, now)
  if lease == '' then
    call('ZADD', KEY.queue .. 'reports', now, m.id)
    return false
  end
  set(m, FIELD.report_lease, BOOT .. lease)
  enter_leases('reports', m.id)
  return true
end
