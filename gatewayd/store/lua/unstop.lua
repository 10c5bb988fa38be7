-- Take a player off the stop list of one label and channel, with the addresses that are on it on their account.
-- item    label channel keyed-hashes
-- reply   how many entries there were
local function each(it)
  local label, channel, hashes = unpack(it)
  local scope, gone = label .. ':' .. channel .. ':', 0
  for _, hash in ipairs(hashes) do
    local owned = KEY.stop_of .. scope .. hash
    gone = gone + call('DEL', KEY.stop .. scope .. hash)
    for _, address in ipairs(call('SMEMBERS', owned)) do gone = gone + call('DEL', KEY.stop .. scope .. address) end
    call('DEL', owned)
  end
  return gone
end
