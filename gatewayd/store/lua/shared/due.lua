-- When what is put off by so many ms is due. A moment would be reckoned with what a process knows of this clock: since
-- it asked, the clock may have been set back by an hour.
local function due_in(delay) return string.format('%.0f', NOW + delay) end
