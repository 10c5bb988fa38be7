-- The latest copy of a message, in one field: how long after its acceptance it was marked (ms; nothing for never), and the way
-- that it went or goes. Of 0.1.0 the way stands there alone. To scripts a mark is a moment, 0 for never.
local function route_of(key, copy, accepted_at)
  if not copy then return 0, nil end
  local age, route = string.match(copy, '^(%-?%d*) (.*)$')
  if not route then return (call('HGET', key, FIELD.marked_at) or 0) + 0, copy end
  return age ~= '' and (accepted_at or now) + age or 0, route
end

local function set_copy(m, marked_at, route)
  set(m, FIELD.route, (marked_at > 0 and as_text(marked_at - m.accepted_at) or '') .. ' ' .. route)
end
