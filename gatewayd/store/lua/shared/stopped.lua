-- Whether one of these keys of the stop list is there.
local function is_stopped(...) return select('#', ...) > 0 and call('EXISTS', ...) > 0 end
