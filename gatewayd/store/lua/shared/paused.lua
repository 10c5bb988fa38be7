-- Whether an operator paused a scope; asked once a call.
local asked = {}
local function is_paused(scope)
  if asked[scope] == nil then asked[scope] = call('SISMEMBER', KEY.paused, scope) == 1 end
  return asked[scope]
end
