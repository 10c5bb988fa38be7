-- Take a player off the stop list of one label and channel, with the addresses that are on it on their account.
-- item    label channel names
-- reply   how many entries there were
local function each(it)
  local at, gone = it[1] .. ':' .. it[2] .. ':', 0
  for _, name in ipairs(it[3]) do
    local owned = P .. 'stopped-of:' .. at .. name
    gone = gone + call('DEL', P .. 'stop:' .. at .. name)
    for _, address in ipairs(call('SMEMBERS', owned)) do gone = gone + call('DEL', P .. 'stop:' .. at .. address) end
    call('DEL', owned)
  end
  return gone
end
