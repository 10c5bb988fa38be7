-- A player agreed to be written to at `consented`: what stopped them before that does so no more.
-- item    label channel keyed-hashes consented(ms)
-- reply   how many stops were lifted
-- holds   a stop that began since then stays, whoever looked at it before; a moment in the future lifts nothing
local function each(it)
  local label, channel, hashes, consented_at = unpack(it)
  local scope, lifted = label .. ':' .. channel, 0
  if consented_at > NOW then return 0 end
  for _, hash in ipairs(with_addresses(scope, hashes)) do
    local key = KEY.stop .. scope .. ':' .. hash
    local since = stop_began(key)
    if since and since < consented_at then
      lifted = lifted + call('DEL', key)
      call('ZREM', KEY.stops .. scope, hash)
    end
  end
  return lifted
end
