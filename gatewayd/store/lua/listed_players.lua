-- The messages of such a list.
-- item    day bucket first(number of the first) count
-- reply   ids
local function each(it)
  local day, bucket, first, most = unpack(it)
  local list, ids = call('GETRANGE', KEY.players .. day .. ':' .. bucket, first * 16, (first + most) * 16 - 1), {}
  for at = 1, #list, 16 do ids[#ids + 1] = unpacked(sub(list, at, at + 15)) end
  return ids
end
