-- Take players off the stop list of one label and channel, with the addresses that are on it on their account: from all
-- stops, or from those that began before they agreed to be written to.
-- item    label channel keyed-hashes consented(ms; '' whenever a stop began)
-- reply   how many stops were lifted
-- holds   a stop that began since then stays, whoever looked at it before; a moment in the future lifts nothing
local function each(label, channel, hashes, consented_at)
  local scope, lifted = label .. ':' .. channel, 0
  local all = consented_at == ''
  if not all and consented_at > NOW then return 0 end
  for _, hash in ipairs(with_addresses(scope, hashes)) do
    local key = KEY.stop .. scope .. ':' .. hash
    local since = not all and stop_began(key)
    if all or since and since < consented_at then
      lifted = lifted + call('DEL', key)
      call('ZREM', KEY.stops .. scope, hash)
    end
  end
  for _, hash in ipairs(all and hashes or {}) do call('DEL', KEY.stop_of .. scope .. ':' .. hash) end
  return lifted
end
