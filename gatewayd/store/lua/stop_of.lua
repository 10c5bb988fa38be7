-- How a player stands on the stop list of one label and channel.
-- item    label channel keyed-hashes
-- reply   {ms for which the player is on it still or 0, how many addresses are on it on their account}
local function each(it)
  local label, channel, hashes = unpack(it)
  local scope, left, addresses = label .. ':' .. channel .. ':', 0, 0
  for _, hash in ipairs(hashes) do
    left = math.max(left, call('PTTL', KEY.stop .. scope .. hash))
    for _, address in ipairs(call('SMEMBERS', KEY.stop_of .. scope .. hash)) do
      addresses = addresses + call('EXISTS', KEY.stop .. scope .. address)
    end
  end
  return {left, addresses}
end
