-- Whether one of these keyed hashes is on the stop list.
local function is_stopped(label, channel, hashes)
  local keys = {}
  for i, hash in ipairs(hashes) do keys[i] = KEY.stop .. label .. ':' .. channel .. ':' .. hash end
  return #keys > 0 and call('EXISTS', unpack(keys)) > 0
end
