-- Within the hour after it; of a clock that was set back nothing is concluded.
local function is_young(moment) return NOW >= moment and NOW - moment < 3600000 end
