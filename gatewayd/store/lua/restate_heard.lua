-- A process says what Smartico heard from it of a message, and whether it recorded how that ended: the server may have
-- forgotten it, in a failover or a restored backup.
-- item    id letters(of the statuses that were heard) state(the final one of these, '' for none) has-ended(0|1)
-- reply   {1 where a status was not known as heard, 1 where it has ended and that is not known still, letters to tell}
-- holds   what was heard is not told again, nor what comes before it; a replay that a person asked for is
local function each(id, letters, state, has_ended)
  local m = record(id)
  if not m then return {0, 0, ''} end
  local forgotten, waiting, since, holder = 0, telling(m.to_tell)
  if state ~= '' and find(waiting, 'a', 1, true) and not find(letters, 'a', 1, true) then
    letters = 'a' .. letters
  end
  local pending, at = waiting, NOW - m.accepted_at
  for letter in string.gmatch(letters, '%a') do
    local times = call('HGET', KEY.message .. id, FIELD.report .. letter) or ''
    if not string.match(times, '^%-?%d+ %-?%d') then
      forgotten = 1
      local queued = sub(waiting, 1, 1) == letter and tonumber(since)
      local age = string.match(times, '^%-?%d+') or queued and queued - m.accepted_at or at
      set(m, FIELD.report .. letter, age .. ' ' .. at)
      pending = string.gsub(pending, letter, '')
      if not find(m.queued_reports, letter, 1, true) then
        m.queued_reports = m.queued_reports .. letter
        if letter == 'a' then count(m.label, m.channel, 'handed', 1) end
      end
    end
  end
  if forgotten == 1 then
    if pending ~= waiting then
      if sub(pending, 1, 1) ~= sub(waiting, 1, 1) then
        -- The next one's tries, and its 48 hours, begin now.
        since = now
        clear(m, FIELD.report_tries)
        clear(m, FIELD.report_first_try)
      end
      m.to_tell = as_telling(pending, since, holder)
      if pending == '' then call('ZREM', KEY.queue .. 'reports', id) end
    end
    set_standing(m)
    if state ~= '' and state ~= m.state then move(m, state, '', '', state, 'heard before Redis forgot it') end
    save(m)
    if pending ~= '' then keep(m, KEEP) end
  end
  return {forgotten, has_ended == 1 and not FINAL[m.state] and 1 or 0, pending}
end
