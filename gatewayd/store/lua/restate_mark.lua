-- A process says what it wrote to a wire: what the server has forgotten of it, in a failover or a restored backup, is
-- uncertain from now on.
-- item    id route stamp(of the mark)
-- reply   forgotten; uncertain where it knows this mark, or a later one, and not how that ended; else known
-- holds   this mark or a later one is known; a message that is settled stays so
--         a receipt that is found by its number resumes it no more: it may be for any of the segments
--         a peer that had leased it meanwhile, as one that never left, holds it no more and can't mark it
local function each(id, route, stamp)
  local m = record(id)
  if not m or not WAITING[m.state] then return 'known' end
  if m.marked_at >= stamp then return m.state == UNCERTAIN and 'uncertain' or 'known' end
  m.state = UNCERTAIN
  set_standing(m)
  local marked_at = math.max(NOW, stamp)
  set_copy(m, marked_at, route)
  set(m, FIELD.lost_progress, as_text(stamp) .. '|' .. as_text(marked_at))
  if m.lease and sub(m.lease, 1, #BOOT) ~= BOOT then clear(m, FIELD.lease) end
  note(m, 'uncertain', 'Redis had forgotten that it was written to ' .. route)
  save(m)
  return 'forgotten'
end
