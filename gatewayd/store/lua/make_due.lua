-- Make due what waits in a queue; what was leased meanwhile must not come back.
-- item    kind ids
-- reply   how many of them were there
local function each(kind, ids)
  local found = 0
  for _, id in ipairs(ids) do
    if call('ZSCORE', KEY.queue .. kind, id) then
      call('ZADD', KEY.queue .. kind, 'XX', now, id)
      found = found + 1
    end
  end
  return found
end
