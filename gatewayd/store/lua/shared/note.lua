local REASONS = 48 -- fields with which a message gets no new reasons: Redis keeps a hash of up to 128 in little memory
local OTHER = 'other reasons, in other words each time'

-- The name of a step's field; and a hash and the rest of the words, where they are longer than a field's name should be.
local function named(event, detail)
  local words = FIELD.step .. event .. '|' .. detail
  if #words <= 64 then return words end
  local hash = sub(redis.sha1hex(words), 1, 8)
  return sub(words, 1, 54) .. '~' .. hash, hash, sub(words, 55)
end

-- The field of a step, with the rest of its words in fields of their own.
local function step_of(m, event, detail)
  local name, hash, rest = named(event, detail)
  for i = 1, rest and math.min(math.ceil(#rest / 64), 8) or 0 do
    set(m, FIELD.detail .. hash .. i, sub(rest, 64 * i - 63, 64 * i))
  end
  return name
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

-- Reasons may differ each time, by an id or a time in them: a message with many fields has those that are new as one.
local function note_while_short(m, event, detail)
  local is_long = call('HLEN', m.key) >= REASONS + 3 * #(m.segments or '')
  note(m, event, is_long and not call('HGET', m.key, (named(event, detail))) and OTHER or detail)
end
