-- Whether one of these keyed hashes is on the stop list.
local function is_stopped(label, channel, hashes)
  if #hashes == 0 then return false end
  local scope, keys = KEY.stop .. label .. ':' .. channel .. ':', {}
  for i = 1, #hashes do keys[i] = scope .. hashes[i] end
  return call('EXISTS', unpack(keys)) > 0
end
