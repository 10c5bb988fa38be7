-- Some stops by their keyed hashes; those that ended leave the index.
-- item    label channel hashes
-- reply   now (ms), then for each hash its value (false where it ended) and its ms left
local function each(it)
  local scope, found = scope_of(it[1], it[2]), {string.format('%.0f', NOW)}
  for _, hash in ipairs(it[3]) do
    local key = P .. 'stop:' .. scope .. ':' .. hash
    local since, value = began(key)
    if not value then call('ZREM', P .. 'stops:' .. scope, hash) end
    found[#found + 1] = since and value or false
    found[#found + 1] = since and call('PTTL', key) or 0
  end
  return found
end
