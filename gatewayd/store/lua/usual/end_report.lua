-- As most are: heard, it was the first status to tell, for the first time, and since this process was given it nothing has
-- happened to that. What is to be written follows from what was given.
local GOES_SOONER = goes_sooner()

-- What was queued behind it meanwhile is told next, by this process, too. Result: nil where there is no such thing.
local function next_one(id, key, standing, letter, lease, accepted_at, age, heard)
  local head, first, letters, first_since, holder = string.match(standing or '', '^(%a+|%a+|)(%a)(%a+) (%d+) (.*)$')
  if first ~= letter or holder ~= BOOT .. lease or first_since + 0 ~= accepted_at + age or not has_its_time(accepted_at) then
    return nil
  end
  call('HSET', key, FIELD.state, head .. as_telling(letters, now, holder), FIELD.report .. letter, heard)
  local label, channel, callback = label_of(key, call('HGET', key, FIELD.label))
  return next_report(id, letters, label, channel, callback, now, '0', '0', lease)
end

local function usual(id, letter, lease, reason, effort, packed_id, label, accepted_at, age, head, untold)
  if head == '' or reason ~= '' or GOES_SOONER then return nil end
  local key = KEY.message .. id
  local standing, accepted
  if letter == ACCEPTED then
    standing = call('HGET', key, FIELD.state)
  else
    standing, accepted = unpack(call('HMGET', key, FIELD.state, FIELD.report .. ACCEPTED))
  end
  local heard = age .. ' ' .. as_text(NOW - accepted_at)
  local is_last = standing == untold
  local report = not is_last and next_one(id, key, standing, letter, lease, accepted_at, age, heard)
  if report == nil then return nil end
  list_heard(letter, accepted, accepted_at, packed_id, label)
  if is_last then
    call('HSET', key, FIELD.state, head, FIELD.report .. letter, heard)
    leave_leases('reports', id)
  end
  return report
end
