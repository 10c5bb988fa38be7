-- How many there are, by label, channel and what: all of a call in one step for each.
local counted = {}
local function count(label, channel, what, by)
  local name = label .. '|' .. channel .. '|' .. what
  counted[name] = (counted[name] or 0) + by
end

at_end[#at_end + 1] = function()
  for name, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', KEY.counts, name, by) end
  end
end
