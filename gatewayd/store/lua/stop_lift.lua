-- A player agreed to be written to at `consented`: what stopped them before that does so no more.
-- item    label channel hashes consented(ms)
-- reply   how many stops were lifted
-- holds   a stop that began since then stays, whoever looked at it before; a moment in the future lifts nothing
local function each(it)
  local scope, lifted = scope_of(it[1], it[2]), 0
  if it[4] > NOW then return 0 end
  for _, hash in ipairs(with_addresses(scope, it[3])) do
    local key = P .. 'stop:' .. scope .. ':' .. hash
    local since = began(key)
    if since and since < it[4] then
      lifted = lifted + call('DEL', key)
      call('ZREM', P .. 'stops:' .. scope, hash)
    end
  end
  return lifted
end
