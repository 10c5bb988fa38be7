-- The message and segment that are the only ones of today in this bucket under entries that begin so; nil for none and for
-- several.
local function only_named_today(bucket, tag)
  if bucket == '' then return nil end
  local list = call('GET', KEY.remotes .. today() .. ':' .. bucket)
  local at = list and find(list, tag, 1, true)
  if not at or (at - 1) % 25 ~= 0 or find(list, tag, at + 1, true) then return nil end
  return unpacked(sub(list, at + 8, at + 23)), string.byte(list, at + 24)
end

-- What the usual way found before it gave up; the long way has it for nothing, once.
local was_looked_for, found_id, found_segment
local function nothing_usual(id, segment)
  was_looked_for, found_id, found_segment = true, id, segment
  return nil
end

local function looked_for_already(bucket, tag)
  if not was_looked_for then return only_named_today(bucket, tag) end
  was_looked_for = nil
  return found_id, found_segment
end
