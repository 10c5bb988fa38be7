-- A plain command that a full memory must not refuse.
-- item    the command's words
-- reply   what it replies
-- holds   run again for a lost reply it does what the command itself would do a second time
local function each(...) return call(...) end
