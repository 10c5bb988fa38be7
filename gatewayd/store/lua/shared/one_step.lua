-- Most messages of a call stand alike, and the same happens to them: what follows is looked for once. By it a script writes at
-- once what `move` does for any message, at two thirds of the price.

-- What follows from an event where a message stands so: where it stands then, before what is to be told; its state before
-- and after; the status to tell. Nil where that isn't one status more and another state. And what is to be told already.
local known_steps = {}
local function step_from(standing, event)
  local of_event = known_steps[event]
  if not of_event then
    of_event = {}
    known_steps[event] = of_event
  end
  if of_event[standing] then return of_event[standing], '' end
  local old, told, to_tell = string.match(standing or '', '^(%a+)|(%a*)|(.*)$')
  if not old then return nil end
  local rest = old .. '|' .. told .. '|'
  if not of_event[rest] then
    local new, letters = cell_of(old, told, event)
    local letter = new and not_told(letters, told)
    if not new or new == old or #letter ~= 1 then return nil end
    of_event[rest] = {old = old, new = new, letter = letter, stands = new .. '|' .. told .. letter .. '|'}
  end
  return of_event[rest], to_tell
end

-- Take that step: its field in the story, its status to be told, its counts. The content and the lease are the caller's.
-- Result: the label and channel; and the report, where this process is to tell it.
local function take_step(id, step, to_tell, whose, accepted_at, event, words, report_lease)
  local key = KEY.message .. id
  local label, channel, callback = label_of(key, whose)
  local age = as_text(NOW - accepted_at)
  count(label, channel, step.new, 1)
  if not WAITING[step.old] then count(label, channel, step.old, -1) end
  if step.letter == ACCEPTED then count(label, channel, 'handed', 1) end
  if to_tell ~= '' then
    local before, since, holder = telling(to_tell)
    call('HSET', key, FIELD.state, step.stands .. as_telling(before .. step.letter, since, holder),
      FIELD.step .. event .. '|' .. words, age, FIELD.report .. step.letter, age)
    return label, channel, false
  end
  local is_ours = report_lease ~= ''
  call('HSET', key, FIELD.state, step.stands .. as_telling(step.letter, now, is_ours and BOOT .. report_lease or ''),
    FIELD.step .. event .. '|' .. words, age)
  if not is_ours then
    call('ZADD', KEY.queue .. 'reports', now, id)
    return label, channel, false
  end
  enter_leases('reports', id)
  return label, channel, next_report(id, step.letter, label, channel, callback, now, '0', '0', report_lease, age, step.stands)
end
