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
    of_event[rest] = {old = old, new = new, letter = letter, stands = new .. '|' .. told .. letter .. '|', kinds = {}}
  end
  return of_event[rest], to_tell
end

-- What messages have in common to which the same happens where they stand alike, all of one label, channel and URL: counted,
-- and put together, once for all of them.
local kinds = {}
local function kind_of(step, event, key, whose)
  local known = step.kinds[whose or '']
  if known then return known end
  local label, channel, callback = label_of(key, whose)
  local before, behind = around_report(step.letter, label, channel, callback, now, '0', '0')
  local kind = {
    of_label = label, of_channel = channel, takes = step, taken = 0, dropped = 0,
    named = FIELD.step .. event .. '|',
    queued = step.stands .. as_telling(step.letter, now, ''),
    ours = step.stands .. as_telling(step.letter, now, BOOT),
    before = before,
    behind = ' ' .. step.stands .. behind,
  }
  kinds[#kinds + 1] = kind
  -- What 0.1.0 stored says its channel and URL elsewhere: each has a kind of its own.
  if find(whose or '', '|', 1, true) then step.kinds[whose] = kind end
  return kind
end

table.insert(at_end, 1, function()
  for _, kind in ipairs(kinds) do
    local label, channel, step = kind.of_label, kind.of_channel, kind.takes
    count(label, channel, step.new, kind.taken)
    if not WAITING[step.old] then count(label, channel, step.old, -kind.taken) end
    if step.letter == ACCEPTED then count(label, channel, 'handed', kind.taken) end
    count(label, channel, 'in_flight', -kind.dropped)
    if kind.dropped > 0 then count_waiting(-kind.dropped) end
  end
end)

-- Take that step: its field in the story, its status to be told, its counts. The content and the lease are the caller's, who
-- counts as `dropped` what waits no more.
-- Result: the report, where this process is to tell it, or false; and the kind.
local function take_step(id, step, to_tell, whose, accepted_at, event, words, report_lease)
  local key = KEY.message .. id
  local kind, age, report = kind_of(step, event, key, whose), as_text(NOW - accepted_at), false
  if to_tell ~= '' then
    local before, since, holder = telling(to_tell)
    call('HSET', key, FIELD.state, step.stands .. as_telling(before .. step.letter, since, holder), kind.named .. words, age,
      FIELD.report .. step.letter, age)
  elseif report_lease == '' then
    call('HSET', key, FIELD.state, kind.queued, kind.named .. words, age)
    call('ZADD', KEY.queue .. 'reports', now, id)
  else
    call('HSET', key, FIELD.state, kind.ours .. report_lease, kind.named .. words, age)
    enter_leases('reports', id)
    report = id .. kind.before .. report_lease .. '\n' .. age .. kind.behind
  end
  kind.taken = kind.taken + 1
  return report, kind
end
