-- Whether any receipt waits for its message; asked once a call.
local some_are_parked
local function are_some_parked()
  if some_are_parked == nil then some_are_parked = call('EXISTS', KEY.parked) == 1 end
  return some_are_parked
end
