-- What was leased before a moment (ms; 0: whenever), the oldest first. Where the moment itself is the score, an older
-- version leased it.
local function leased_before(leases, before, limit)
  local ids = call('ZRANGEBYSCORE', leases, '(0', before > 0 and '(' .. before or '+inf', 'LIMIT', 0, limit)
  local ours = call('ZREVRANGEBYSCORE', leases, 0, before > 0 and '(-' .. before or '-inf', 'LIMIT', 0, limit - #ids)
  for _, id in ipairs(ours) do ids[#ids + 1] = id end
  return ids
end
