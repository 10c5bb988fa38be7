-- Within the hour after a message was accepted it is kept for long enough, for it has been given its time since; not where
-- it goes sooner once all was heard. Of a clock that was set back nothing is concluded.
local GOES_SOONER = goes_sooner()
local function has_its_time(accepted_at)
  return not GOES_SOONER and NOW >= accepted_at and NOW - accepted_at < 3600000
end
