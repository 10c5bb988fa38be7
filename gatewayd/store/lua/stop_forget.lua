-- A player is erased: their stops hold, and do not say any more whose they are.
-- item    label channel hashes
-- reply   how many stops named them
local function each(it)
  local scope, gone = scope_of(it[1], it[2]), 0
  for _, hash in ipairs(with_addresses(scope, it[3])) do
    local key = P .. 'stop:' .. scope .. ':' .. hash
    local since, value = began(key)
    local known = since and match(value, '^(%d+|%a+|[^|]*|).')
    if known then
      call('SET', key, known, 'KEEPTTL')
      gone = gone + 1
    end
  end
  return gone
end
