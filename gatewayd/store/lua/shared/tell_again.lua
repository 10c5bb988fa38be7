-- A person wants statuses told once more: the message is kept for it as for new ones, and its story says so. Each stands
-- where it stood among those that still wait, and all go at once; but one that somebody tells right now stays the first.
local function tell_again(m, step, letters)
  note(m, step, letters)
  local waiting, since, holder = telling(m.to_tell)
  if waiting == '' then
    queue_reports(m, letters, '')
  else
    local first = holder ~= '' and sub(waiting, 1, 1) or ''
    local all, ordered = waiting .. letters, first
    for letter in string.gmatch(m.queued_reports, '%a') do
      if letter ~= first and find(all, letter, 1, true) then ordered = ordered .. letter end
    end
    if holder == '' then
      since = now
      clear(m, FIELD.report_tries)
      clear(m, FIELD.report_first_try)
      call('ZADD', KEY.queue .. 'reports', now, m.id)
    end
    m.to_tell = as_telling(ordered, since, holder)
  end
  set_standing(m)
  save(m)
  keep(m, KEEP)
end
