-- Some stops by their keyed hashes; those that ended leave the index.
-- item    label channel keyed-hashes
-- reply   now (ms), then for each hash its value (false where it ended) and its ms left
local function each(it)
  local label, channel, hashes = unpack(it)
  local scope, found = label .. ':' .. channel, {now}
  for _, hash in ipairs(hashes) do
    local key = KEY.stop .. scope .. ':' .. hash
    local since, value = stop_began(key)
    if not value then call('ZREM', KEY.stops .. scope, hash) end
    found[#found + 1] = since and value or false
    found[#found + 1] = since and call('PTTL', key) or 0
  end
  return found
end
