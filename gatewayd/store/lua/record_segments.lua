-- The SMSC took a segment of a long SMS, and there are more.
-- item    id lease route remote-ids(of all its segments that were taken)
-- reply   1, or 0 where it is not ours
-- holds   until the next mark nothing of it is on the wire: after a crash it goes on behind these segments
local function each(id, lease, route, remotes)
  local m = record(id)
  if not m or not holds(m, lease) or not WAITING[m.state] then return 0 end
  m.state = QUEUED
  set_standing(m)
  set_taken(m, route, remotes, #remotes)
  save(m)
  return 1
end
