-- The number of this day, as text.
local TODAY = as_text(math.floor(NOW / DAY))
local function today() return TODAY end
