-- What the transition table says of an event about a message, as cell_of. Messages of a call are mostly alike: each cell is looked for once.
local cells = {}
local function cell(m, event)
  local of_event = cells[event] or {}
  local of_state = of_event[m.state] or {}
  local one = of_state[m.queued_reports]
  if not one then
    one = {cell_of(m.state, m.queued_reports, event)}
    cells[event], of_event[m.state], of_state[m.queued_reports] = of_event, of_state, one
  end
  return one[1], one[2]
end

-- Move a message to `new`, queue those of `letters` that were never queued, note the step; all in one write.
-- Result: whether that changed anything, and the report that this process is to tell or false.
local function move(m, new, letters, report_lease, event, detail)
  local fresh = not_told(letters, m.queued_reports)
  if new == m.state and fresh == '' then return false, false end
  local waited = WAITING[m.state]
  if new ~= m.state then note_once(m, event, detail) else note(m, event, detail) end
  if fresh ~= '' then
    m.queued_reports = m.queued_reports .. fresh
    -- Since when the first one is to be told is said with it.
    for i = m.to_tell == '' and 2 or 1, #fresh do set(m, FIELD.report .. sub(fresh, i, i), age_of(m)) end
  end
  if new ~= m.state then
    count(m.label, m.channel, new, 1)
    if not waited then count(m.label, m.channel, m.state, -1) end
    if FINAL[new] and fresh == '' then set(m, FIELD.ended_at, now) end
    if waited then
      drop_content(m)
      -- One that is leased stands in no queue; one whose label is paused may be set aside.
      if not m.lease and call('ZREM', KEY.queue .. m.channel, m.id) == 0 then
        call('ZREM', KEY.aside .. m.label .. '|' .. m.channel, m.id)
      end
      clear_content(m)
      clear(m, FIELD.heard_by)
      if m.lease then clear(m, FIELD.lease) end
      if m.segments_taken > 0 then clear_taken(m, m.segments_taken) end
    end
  end
  if find(fresh, ACCEPTED, 1, true) then count(m.label, m.channel, 'handed', 1) end
  local leased = fresh ~= '' and queue_reports(m, fresh, report_lease)
  local has_moved = new ~= m.state
  m.state = new
  local head = set_standing(m)
  save(m)
  if waited and has_moved then
    -- From here on it has an end; what waits has its deadline.
    call('EXPIRE', m.key, KEEP)
  else
    keep(m, KEEP)
  end
  return true, leased and next_report(m.id, fresh, m.label, m.channel, m.callback, now, '0', '0', report_lease,
    #fresh == 1 and age_of(m), #fresh == 1 and head)
end
