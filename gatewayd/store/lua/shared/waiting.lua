-- How many messages more are waiting by this call.
local more_waiting = 0
local function count_waiting(by) more_waiting = more_waiting + by end

at_end[#at_end + 1] = function()
  if more_waiting ~= 0 then call('INCRBY', KEY.waiting, as_text(more_waiting)) end
end
