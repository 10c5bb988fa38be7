-- Whether a message without anything to tell is kept for less than one with it.
local function goes_sooner() return tonumber(RETENTION) < tonumber(KEEP) end
