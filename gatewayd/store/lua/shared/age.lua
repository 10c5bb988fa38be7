-- How long ago a message was accepted, in ms: by that its story is told. A number would be written at three times the price.
local function age_of(m)
  if not m.age then m.age = string.format('%d', NOW - m.accepted_at) end
  return m.age
end
