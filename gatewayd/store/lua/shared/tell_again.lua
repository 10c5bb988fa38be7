-- A person wants statuses told once more: the message is kept for it as for new ones, and its story says so.
local function tell_again(m, step, letters)
  note(m, step, letters)
  queue_reports(m, letters, '')
  set_standing(m)
  save(m)
  keep(m, KEEP)
end
