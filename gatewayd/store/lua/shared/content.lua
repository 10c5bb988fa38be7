-- Content is there exactly while a message waits: `waiting` and each label's `in_flight` count that, not states.

-- In how many fields a message says it itself, as short ones do: a digit and a list; nil where it names a digest.
local ZERO, BRACKET = string.byte('0[', 1, 2)
local function fields_inside(content)
  if not content then return nil end
  local digit, bracket = string.byte(content, 1, 2)
  return bracket == BRACKET and digit - ZERO or nil
end

-- Messages that say the same share it: it goes with the last of them.
local function free_shared(digest)
  local more = KEY.content_more .. digest
  local others = tonumber(call('GET', more) or '0')
  if others > 1 then
    call('DECR', more)
  else
    call('DEL', others == 1 and more or KEY.content .. digest)
  end
end

-- The further fields of a long text, of so many.
local function further(name, last, number)
  if number <= last then return name .. string.char(ZERO + number), further(name, last, number + 1) end
end

-- The fields of what only a waiting message has to say, which it does in so many itself, or nil. Most of a call say as much.
local fields_of = {}
local function content_fields(key, inside)
  if inside then
    fields_of[inside] = fields_of[inside] or {FIELD.content, further(FIELD.content, inside - 1, 1)}
    return unpack(fields_of[inside])
  end
  local envelope = call('HGET', key, FIELD.envelope)
  if not envelope then return FIELD.content end
  return FIELD.content, FIELD.envelope, further(FIELD.envelope, #envelope > 60 and 7 or 0, 1)
end
