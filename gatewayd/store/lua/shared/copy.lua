-- The latest copy of a message, in one field: when it was marked, 0 for never, and the way that it went or goes. Of 0.1.0
-- the way stands there alone.
local function route_of(key, copy)
  if not copy then return 0, nil end
  local marked_at, route = string.match(copy, '^(%d+) (.*)$')
  if route then return marked_at + 0, route end
  return (call('HGET', key, FIELD.marked_at) or 0) + 0, copy
end

local function set_copy(m, marked_at, route)
  set(m, FIELD.route, as_text(marked_at) .. ' ' .. route)
end
