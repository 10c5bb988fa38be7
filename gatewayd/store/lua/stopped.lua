-- How a player stands on the stop list of one label and channel.
-- item    label channel names
-- reply   {ms for which the player is on it still or 0, how many addresses are on it on their account}
local function each(it)
  local at, left, addresses = it[1] .. ':' .. it[2] .. ':', 0, 0
  for _, name in ipairs(it[3]) do
    left = math.max(left, call('PTTL', P .. 'stop:' .. at .. name))
    for _, address in ipairs(call('SMEMBERS', P .. 'stopped-of:' .. at .. name)) do
      addresses = addresses + call('EXISTS', P .. 'stop:' .. at .. address)
    end
  end
  return {left, addresses}
end
