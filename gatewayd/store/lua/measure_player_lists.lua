-- The lists of messages that go on a day, by parts of the players' keyed hashes.
-- item    day parts
-- reply   {part, how many, part, how many ...}: those that have any
local function each(day, parts)
  local found = {}
  for bucket = 0, parts - 1 do
    local length = call('STRLEN', KEY.players .. day .. ':' .. bucket)
    if length > 0 then
      found[#found + 1] = bucket
      found[#found + 1] = length / 16
    end
  end
  return found
end
