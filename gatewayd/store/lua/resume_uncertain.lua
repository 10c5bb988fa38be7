-- A late answer said what the SMSC has of an uncertain message: put it back, due now, behind its segments that are there.
-- item    id route written(ms) reason remote-ids
-- reply   1, or 0 where it isn't waiting in that uncertainty any more
-- holds   a mark after `written` is another copy on the wire, of which this answer says nothing
local function each(id, route, written_at, reason, remotes)
  local m = record(id)
  if not m or m.state ~= UNCERTAIN or m.route ~= route or m.marked_at > written_at then return 0 end
  if not resume(m) then return 0 end
  clear(m, FIELD.lost_progress)
  set_taken(m, route, remotes, 1)
  note(m, 'again', reason)
  save(m)
  return 1
end
