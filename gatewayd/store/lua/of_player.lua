-- Which messages of a list are this player's.
-- item    key-day bucket first(number of the first that is looked at) count label user
-- reply   {how many the list has, ids}
local function each(it)
  local day, bucket, first, most, label, user = unpack(it)
  local key = KEY.players .. day .. ':' .. bucket
  local list, ids = call('GETRANGE', key, first * 16, (first + most) * 16 - 1), {}
  for at = 1, #list, 16 do
    local id = unpacked(sub(list, at, at + 15))
    if is_of(id, label, user) then ids[#ids + 1] = id end
  end
  return {call('STRLEN', key) / 16, ids}
end
