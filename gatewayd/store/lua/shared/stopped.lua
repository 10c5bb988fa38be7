-- Where these keyed hashes would stand on the stop list. As results, not in a table, which would have to grow.
local function stop_keys(scope, hash, ...)
  if not hash then return end
  return scope .. hash, stop_keys(scope, ...)
end

local function stops_of(label, channel) return KEY.stop .. label .. ':' .. channel .. ':' end

-- Whether one of these keyed hashes is on the stop list.
local function is_stopped(label, channel, ...)
  return select('#', ...) > 0 and call('EXISTS', stop_keys(stops_of(label, channel), ...)) > 0
end
