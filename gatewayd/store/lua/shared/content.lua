-- Content is there exactly while a message waits: `waiting` and each label's `in_flight` count that, not states.

-- In how many fields a message says it itself, as short ones do: a digit and a list; nil where it names a digest.
local ZERO, BRACKET = string.byte('0[', 1, 2)
local function fields_inside(content)
  if not content then return nil end
  local digit, bracket = string.byte(content, 1, 2)
  return bracket == BRACKET and digit - ZERO or nil
end

local function drop_content(m)
  if m.content then
    -- Messages that say the same share it: it goes with the last of them.
    if not fields_inside(m.content) then
      local more = KEY.content_more .. m.content
      local others = tonumber(call('GET', more) or '0')
      if others > 1 then
        call('DECR', more)
      else
        call('DEL', others == 1 and more or KEY.content .. m.content)
      end
    end
  elseif call('DEL', KEY.body .. m.id) == 0 then
    return
  end
  count_waiting(-1)
  count(m.label, m.channel, 'in_flight', -1)
end

-- What only a waiting message has to say leaves the hash.
local function clear_content(m)
  if not m.content then return end
  clear(m, FIELD.content)
  local inside = fields_inside(m.content)
  for i = 1, inside and inside - 1 or 0 do clear(m, FIELD.content .. as_text(i)) end
  local envelope = not inside and call('HGET', m.key, FIELD.envelope)
  if not envelope then return end
  clear(m, FIELD.envelope)
  if #envelope > 60 then for i = 1, 7 do clear(m, FIELD.envelope .. i) end end
end
