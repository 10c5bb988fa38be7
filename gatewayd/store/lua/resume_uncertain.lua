-- A late answer said what the SMSC has of an uncertain message: put it back, due now, behind its segments that are there.
-- item    id route stamp(of the mark under which that was written) reason remote-ids
-- reply   1, or 0 where it isn't waiting in that uncertainty any more
-- holds   a later mark is another copy on the wire, of which this answer says nothing; one that was restated is later
--         than it says, and is known by its stamp
local function each(id, route, stamp, reason, remotes)
  local m = record(id, FIELD.lost_progress)
  if not m or m.state ~= UNCERTAIN or m.route ~= route then return 0 end
  local is_restated = m.more == as_text(stamp) .. '|' .. as_text(m.marked_at)
  if m.marked_at > stamp and not is_restated then return 0 end
  if not resume(m) then return 0 end
  clear(m, FIELD.lost_progress)
  set_taken(m, route, remotes, 1)
  note(m, 'again', reason)
  save(m)
  return 1
end
