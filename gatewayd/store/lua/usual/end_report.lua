-- As most are: heard, it was this message's only status to tell, for the first time, and since this process was given it
-- nothing has happened to the message. What is to be written follows from what was given.
local GOES_SOONER = goes_sooner()

local function usual(id, letter, lease, reason, effort, packed_id, label, since, age, head)
  if head == '' or reason ~= '' or GOES_SOONER then return nil end
  local key = KEY.message .. id
  local standing, accepted
  if letter == ACCEPTED then
    standing = call('HGET', key, FIELD.state)
  else
    standing, accepted = unpack(call('HMGET', key, FIELD.state, FIELD.report .. ACCEPTED))
  end
  if standing ~= head .. as_telling(letter, since, BOOT .. lease) then return nil end
  local accepted_at = since - age
  list_heard(letter, accepted, accepted_at, packed_id, label)
  call('HSET', key, FIELD.state, head, FIELD.report .. letter, age .. string.format(' %d', NOW - accepted_at))
  leave_leases('reports', id)
  return false
end
