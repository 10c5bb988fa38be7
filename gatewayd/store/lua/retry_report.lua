-- Tell a status again later.
-- item    id lease delay(ms) reason counts(0|1)
-- reply   1, or 0 where it is not ours
local function each(id, lease, delay, reason, counts)
  local m = record(id)
  local letters, since, holder = telling(m and m.to_tell or '')
  if holder ~= BOOT .. lease then
    -- Not kept any more: what is written to it now would have no end.
    if not m then leave_leases('reports', id) end
    return 0
  end
  leave_leases('reports', id)
  m.to_tell = as_telling(letters, since, '')
  set_standing(m)
  if counts == 1 then
    if call('HINCRBY', KEY.message .. id, FIELD.report_tries, 1) == 1 then set(m, FIELD.report_first_try, now) end
    note_while_short(m, 'tell again', reason)
  end
  save(m)
  call('ZADD', KEY.queue .. 'reports', due_in(delay), id)
  return 1
end
