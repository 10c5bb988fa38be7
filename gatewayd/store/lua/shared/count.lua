-- How many there are, by label, channel and what: all of a call in one step for each.
local counted = {}
local function count(label, channel, what, by)
  local of_label = counted[label] or {}
  local of_channel = of_label[channel] or {}
  counted[label], of_label[channel], of_channel[what] = of_label, of_channel, (of_channel[what] or 0) + by
end

at_end[#at_end + 1] = function()
  for label, channels in pairs(counted) do
    for channel, counts in pairs(channels) do
      for what, by in pairs(counts) do
        if by ~= 0 then call('HINCRBY', KEY.counts, label .. '|' .. channel .. '|' .. what, by) end
      end
    end
  end
end
