-- A message ends here: rejected at delivery, or past its deadline.
-- item    id channel lease state reason letters report-lease
-- reply   {1, report or false}, or {0, false} where it is not ours or evidence settled it meanwhile
local function each(id, channel, lease, state, reason, letters, report_lease)
  local m = record(id)
  if not m or not holds(m, lease) then return {0, false} end
  leave_leases(channel, id)
  if not WAITING[m.state] then return {0, false} end
  local _, report = move(m, state, letters, report_lease, state, reason)
  return {1, report}
end
