-- Put a player or an address on the stop list of one label and channel.
-- item    label channel keyed-hash seconds owner('' nobody)
-- reply   1
local function each(it)
  local label, channel, hash, seconds, owner = unpack(it)
  local scope = label .. ':' .. channel .. ':'
  -- An address on the list that nobody owns could never be taken off by the player's id.
  if owner ~= '' then
    call('SADD', KEY.stop_of .. scope .. owner, hash)
    call('EXPIRE', KEY.stop_of .. scope .. owner, seconds)
  end
  call('SET', KEY.stop .. scope .. hash, '1', 'EX', seconds)
  return 1
end
