-- Where a message stands, in one field, for all of it changes together: its state, the letters of the statuses that were
-- ever queued, and what is to be told (telling.lua). Of 0.1.0 the state stands there alone. With nothing to tell most of
-- a call stand alike: that is taken apart once.
local at_rest = {}
local function state_of(key, standing)
  local parts = at_rest[standing]
  if parts then return parts[1], parts[2], '' end
  local state, queued_reports, to_tell = string.match(standing, '^(%a+)|(%a*)|(.*)$')
  if to_tell == '' then at_rest[standing] = {state, queued_reports} end
  if state then return state, queued_reports, to_tell end
  queued_reports, to_tell = unpack(call('HMGET', key, FIELD.queued_reports, FIELD.to_tell))
  return standing, queued_reports or '', to_tell or ''
end

-- Result: what stands there before what is to be told.
local function set_standing(m)
  local head = m.state .. '|' .. m.queued_reports .. '|'
  set(m, FIELD.state, head .. m.to_tell)
  return head
end
