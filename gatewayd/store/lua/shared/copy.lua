-- The latest copy of a message, in one field: how long after its acceptance it was marked (ms; nothing for never), and the way
-- that it went or goes. Of 0.1.0 the way stands there alone. To scripts a mark is a moment, 0 for never.
local function route_of(key, copy, accepted_at)
  if not copy then return 0, nil end
  local age, route = string.match(copy, '^(%-?%d*) (.*)$')
  if not route then return (call('HGET', key, FIELD.marked_at) or 0) + 0, copy end
  return age ~= '' and (accepted_at or now) + age or 0, route
end

-- That a message of one segment was marked first is told by that field; and by a step before the field says something else.
local function copy_says_it(segments, words) return segments == 1 and is_short(words) end

local function set_copy(m, marked_at, route)
  if m.marked_at > 0 and not m.segments and m.route and copy_says_it(1, m.route) then
    call('HSETNX', m.key, FIELD.step .. 'submitting|' .. m.route, as_text(m.marked_at - m.accepted_at))
  end
  set(m, FIELD.route, (marked_at > 0 and as_text(marked_at - m.accepted_at) or '') .. ' ' .. route)
end
