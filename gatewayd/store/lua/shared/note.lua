-- The field of a step, with what is longer than a field's name should be in fields of its own.
local function step_of(m, event, detail)
  local words = FIELD.step .. event .. '|' .. detail
  if #words <= 64 then return words end
  local hash, rest = sub(redis.sha1hex(words), 1, 8), sub(words, 55)
  for i = 1, math.min(math.ceil(#rest / 64), 8) do
    set(m, FIELD.detail .. hash .. i, sub(rest, 64 * i - 63, 64 * i))
  end
  return sub(words, 1, 54) .. '~' .. hash
end

-- A step of the timeline that comes once in a message's life.
local function note_once(m, event, detail)
  set(m, step_of(m, event, detail), age_of(m))
end

-- A step that may come again: the timeline has it once, with when it came first and last, and how often.
local function note(m, event, detail)
  local name, at = step_of(m, event, detail), age_of(m)
  local seen = call('HGET', m.key, name)
  if not seen then
    set(m, name, at)
  else
    local first, times = string.match(seen, '^(%-?%d+) %-?%d+ (%d+)$')
    set(m, name, (first or seen) .. ' ' .. at .. ' ' .. (tonumber(times or '1') + 1))
  end
end

-- Reasons may differ each time: a message with so many steps gets no new ones, on which nothing depends.
local function note_while_short(m, event, detail)
  if call('HLEN', m.key) < 200 then note(m, event, detail) end
end
