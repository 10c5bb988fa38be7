-- How many there are, by label, channel and what: all of a call in one step for each.
local counted, counts, last_label, last_channel = {}, nil, nil, nil
local function count(label, channel, what, by)
  -- Nearly always it is of the same as the one before.
  if label ~= last_label or channel ~= last_channel then
    local of_label = counted[label] or {}
    counts = of_label[channel] or {}
    counted[label], of_label[channel], last_label, last_channel = of_label, counts, label, channel
  end
  counts[what] = (counts[what] or 0) + by
end

at_end[#at_end + 1] = function()
  for label, channels in pairs(counted) do
    for channel, counts in pairs(channels) do
      for what, by in pairs(counts) do
        if by ~= 0 then call('HINCRBY', KEY.counts, label .. '|' .. channel .. '|' .. what, as_text(by)) end
      end
    end
  end
end
