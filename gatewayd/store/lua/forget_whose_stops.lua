-- A player is erased: their stops hold, and do not say any more whose they are.
-- item    label channel keyed-hashes
-- reply   how many stops named them
local function each(label, channel, hashes)
  local scope, gone = label .. ':' .. channel, 0
  for _, hash in ipairs(with_addresses(scope, hashes)) do
    local key = KEY.stop .. scope .. ':' .. hash
    local since, value = stop_began(key)
    local known = since and string.match(value, '^(%d+|%a+|[^|]*|).')
    if known then
      call('SET', key, known, 'KEEPTTL')
      gone = gone + 1
    end
  end
  return gone
end
