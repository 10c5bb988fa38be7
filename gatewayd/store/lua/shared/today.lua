-- The number of this day, as text.
local function today() return as_text(math.floor(NOW / DAY)) end
